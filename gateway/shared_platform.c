/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of shared platforms: see shared_platform.h. */
#include "gateway/shared_platform.h"

#include <string.h>

#include "filters/hostset.h"

enum reach {
    BELOW, /* whoever signs up gets a name below it */
    AT     /* whoever signs up gets a path at it */
};

/* X(name, reach). Source: MISP warninglists, lots-project, 20241104, CC0, a part of it. */
#define SHARED_PLATFORMS(X)                                                                        \
    X("amazonaws.com", BELOW)                                                                      \
    X("appspot.com", BELOW)                                                                        \
    X("atlassian.net", BELOW)                                                                      \
    X("azureedge.net", BELOW)                                                                      \
    X("azurefd.net", BELOW)                                                                        \
    X("azurestaticapps.net", BELOW)                                                                \
    X("azurewebsites.net", BELOW)                                                                  \
    X("backblazeb2.com", BELOW)                                                                    \
    X("blob.core.windows.net", BELOW)                                                              \
    X("blogspot.com", BELOW)                                                                       \
    X("box.com", BELOW)                                                                            \
    X("cloudapp.azure.com", BELOW)                                                                 \
    X("cloudapp.net", BELOW)                                                                       \
    X("cloudfront.net", BELOW)                                                                     \
    X("digitaloceanspaces.com", BELOW)                                                             \
    X("firebaseapp.com", BELOW)                                                                    \
    X("github.io", BELOW)                                                                          \
    X("googleusercontent.com", BELOW)                                                              \
    X("herokuapp.com", BELOW)                                                                      \
    X("linodeobjects.com", BELOW)                                                                  \
    X("netlify.app", BELOW)                                                                        \
    X("notion.site", BELOW)                                                                        \
    X("on.aws", BELOW)                                                                             \
    X("oraclecloud.com", BELOW)                                                                    \
    X("pages.dev", BELOW)                                                                          \
    X("sharepoint.com", BELOW)                                                                     \
    X("translate.goog", BELOW)                                                                     \
    X("tumblr.com", BELOW)                                                                         \
    X("wasabisys.com", BELOW)                                                                      \
    X("web.app", BELOW)                                                                            \
    X("web.core.windows.net", BELOW)                                                               \
    X("webflow.io", BELOW)                                                                         \
    X("weebly.com", BELOW)                                                                         \
    X("wixsite.com", BELOW)                                                                        \
    X("wordpress.com", BELOW)                                                                      \
    X("workers.dev", BELOW)                                                                        \
    X("zendesk.com", BELOW)                                                                        \
    X("1drv.ms", AT)                                                                               \
    X("attachments.office.net", AT)                                                                \
    X("bitbucket.org", AT)                                                                         \
    X("cdn.discordapp.com", AT)                                                                    \
    X("discord.com", AT)                                                                           \
    X("docs.google.com", AT)                                                                       \
    X("drive.google.com", AT)                                                                      \
    X("dropbox.com", AT)                                                                           \
    X("www.dropbox.com", AT)                                                                       \
    X("facebook.com", AT)                                                                          \
    X("www.facebook.com", AT)                                                                      \
    X("firebasestorage.googleapis.com", AT)                                                        \
    X("forms.office.com", AT)                                                                      \
    X("github.com", AT)                                                                            \
    X("gitlab.com", AT)                                                                            \
    X("notion.so", AT)                                                                             \
    X("onedrive.live.com", AT)                                                                     \
    X("raw.githubusercontent.com", AT)                                                             \
    X("s3.amazonaws.com", AT)                                                                      \
    X("sites.google.com", AT)                                                                      \
    X("storage.googleapis.com", AT)                                                                \
    X("sway.office.com", AT)                                                                       \
    X("trello.com", AT)                                                                            \
    X("twitter.com", AT)                                                                           \
    X("wetransfer.com", AT)                                                                        \
    X("www.youtube.com", AT)

static const struct platform {
    const char *name;
    enum reach reach;
} platforms[] = {
#define X(name, reach) {name, reach},
    SHARED_PLATFORMS(X)
#undef X
};

/* True when `name` is `base` or a name below it. */
static bool lies_under(struct span name, struct span base)
{
    return span_equal(name, base) || (span_ends(name, base) && name.size > base.size &&
                                      name.data[name.size - base.size - 1] == '.');
}

static bool covers(struct span pattern, const struct platform *platform)
{
    struct span name = span_of(platform->name), base;

    if (platform->reach == AT)
        return host_pattern_matches(pattern, name);
    size_t star = span_index(pattern, '*');
    if (star == pattern.size && !span_starts(pattern, SPAN(".")))
        return false; /* one name: one customer's */
    base = span_from(pattern, span_index(pattern, '.') + 1);
    /* "*file.example.jp" reaches only the names right below */
    return star == pattern.size || span_starts(pattern, SPAN("*.")) ? lies_under(name, base)
                                                                    : span_equal(name, base);
}

const char *shared_platform_find(const char *pattern)
{
    for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++)
        if (covers(span_of(pattern), &platforms[i]))
            return platforms[i].name;
    return NULL;
}
