/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spellings of a link, and what the scanner reads: URLs in the order found, parted by blanks, in
 * the notation of links_transcript.h. The misses stand in a table of their own: what a person may
 * read as a link and the scanner does not, with what it makes of it instead.
 */
#ifndef TESTS_UNIT_LINKS_CASES_H
#define TESTS_UNIT_LINKS_CASES_H

struct link_case {
    const char *text, *found;
};

#define E "https://evil.example.jp/a"

static const struct link_case spellings[] = {
    /* plain */
    {"https://evil.example.jp/a", E},
    {"see http://evil.example.jp/a here", "http://evil.example.jp/a"},
    {"HTTPS://EVIL.Example.JP/a", E},
    {"https://evil.example.jp", "https://evil.example.jp/"},
    {"https://evil.example.jp./a", E},
    {"https://evil.example.jp:8443/a?b=1&c=2", "https://evil.example.jp:8443/a?b=1&c=2"},
    {"https://evil.example.jp/a?utm_source=x&gclid=y",
     "https://evil.example.jp/a?utm_source=x&gclid=y"},
    {"https://evil.example.jp/a#fragment", E},
    {"https://evil.example.jp?q=1", "https://evil.example.jp/?q=1"},
    {"https://good.example.com@evil.example.jp/a", E},
    {"https://user:pass@evil.example.jp/a", E},
    {"https:\\\\evil.example.jp\\a", E},
    {"https:evil.example.jp/a", E},
    {"https:////evil.example.jp/a", E},
    {"view-source:https://evil.example.jp/a", E},
    {"https://a.jp/1 http://b.jp/2\nc.jp", "https://a.jp/1 http://b.jp/2 c.jp/"},
    {"https://a.jp/1,https://b.jp/2;http://c.jp/", "https://a.jp/1 https://b.jp/2 http://c.jp/"},
    /* what stands around it */
    {"(https://evil.example.jp/a)", E},
    {"[see this](https://evil.example.jp/a)", E},
    {"[https://good.jp/](https://evil.example.jp/a)", "https://good.jp/ " E},
    {"<https://evil.example.jp/a>", E},
    {"<https://evil.example.jp/a|click>", E},
    {"'https://evil.example.jp/a'", E},
    {"\"https://evil.example.jp/a\"", E},
    {"<a href=\"https://evil.example.jp/a\">x</a>", E},
    {"「https://evil.example.jp/a」", E},
    {"（https://evil.example.jp/a）です", E},
    {"https://evil.example.jp/a、と", E},
    {"https://evil.example.jp/a。", E},
    {"https://evil.example.jp/a。次の文", E},
    {"https://evil.example.jp/a_(b)", "https://evil.example.jp/a_(b)"},
    {"https://evil.example.jp/a.", E " " E "."},
    {"really?! https://evil.example.jp/a!", E " " E "!"},
    {"**https://evil.example.jp/a**", E " " E "**"},
    {"こちらhttps://evil.example.jp/aを見て", E " " E "%E3%82%92%E8%A6%8B%E3%81%A6"},
    {"https://evil.example.jpです", "https://evil.example.jp/"},
    {"url=https://evil.example.jp/a", E},
    /* JSON */
    {"{\"url\":\"https:\\/\\/evil.example.jp\\/a\"}", E},
    {"{\"m\":\"\\u0068ttps\\u003a\\u002f\\u002Fevil\\u002eexample.jp/a\"}", E},
    {"\"{\\\"u\\\":\\\"https:\\\\/\\\\/evil.example.jp\\\\/a\\\"}\"", E},
    {"\"https\\\\u003a//evil.example.jp/a\\\\n\"", E},
    {"\"see\\nhttps://evil.example.jp/a\\nbye\"", E},
    {"\"https:\\\\\\\\evil.example.jp\\\\a\"", E},
    {"\"https:\\\\news.example.jp\"", "https://news.example.jp/"},
    {"\"\\ud83d\\ude00https://evil.example.jp/a\\ud83d\\ude00\"", E " " E "%F0%9F%98%80"},
    {"\"\\u003ca href=\\u0022https://evil.example.jp/a\\u0022\\u003e\"", E},
    {"\"https://evil.example.jp/a?x=1\\u0026y=2\"", "https://evil.example.jp/a?x=1&y=2"},
    {"'\\x68ttps\\x3a//evil.example.jp/a'", E},
    {"\\u005cu0068ttps://evil.example.jp/a", E},
    /* HTML */
    {"https&#x3a;//evil.example.jp/a", E},
    {"https&#58;&#47;&#x2F;evil&period;example.jp&sol;a", E},
    {"https&colon;//evil.example.jp/a", E},
    {"https&#58//evil.example.jp/a", E},
    {"https://evil.example.jp/a?x=1&amp;y=2", "https://evil.example.jp/a?x=1&y=2"},
    {"https&amp;#x3a;//evil.example.jp/a", E},
    {"&quot;https://evil.example.jp/a&quot;", E},
    {"&lt;https://evil.example.jp/a&gt;", E},
    {"https://evil&shy;.example.jp/a", E},
    /* percent */
    {"https%3A%2F%2Fevil.example.jp%2Fa", "+" E},
    {"https%253a%252f%252fevil.example.jp%252fa", "+" E},
    {"%68%74%74%70%73%3a%2f%2fevil.example.jp/a", "+" E},
    {"https://ev%69l.example.jp/a", E},
    {"https://evil%2Eexample%2ejp/a", E},
    {"https://good.jp/?u=https://evil.example.jp/a",
     "https://good.jp/?u=https://evil.example.jp/a +" E},
    {"https://good.jp/?u=https%3A%2F%2Fevil.example.jp%2Fa&x=1",
     "https://good.jp/?u=https%3A%2F%2Fevil.example.jp%2Fa&x=1 +" E},
    {"line://open?url=https%3A%2F%2Fevil.example.jp%2Fa", "+" E},
    /* width */
    {"ｈｔｔｐｓ：／／ｅｖｉｌ．ｅｘａｍｐｌｅ．ｊｐ／ａ", E},
    {"https://ｅｖｉｌ．example．jp/a", E},
    {"https://evil。example。jp/a", E},
    {"https://evil｡example｡jp/a", E},
    {"https://ｅｖｉｌ．ｅｘａｍｐｌｅ．ｊｐ．/a", E},
    {"evil。example。jp/a", "evil.example.jp/a"},
    {"https：／／evil.example.jp/a", E},
    {"https://evil.example.jp/ａ", E " https://evil.example.jp/ https://evil.example.jp/%EF%BD%81"},
    {"https://𝐞𝐯𝐢𝐥.example.jp/a", E},
    {"https://ⓔⓥⓘⓛ.example.jp/a", E},
    /* unseen */
    {"https://ev\u200bil.exa\u00admple.jp/a", E},
    {"ht\u200dtps:/\u2060/evil.example.jp/a", E},
    {"\ufeffhttps://evil.example.jp/a\u200e", E},
    {"\u202ehttps://evil.example.jp/a\u202c", E},
    {"https://evil.\u2067example\u2069.jp/a", E},
    {"\"https://ev\\u200Bil.example.jp/a\"", E},
    {"ev&#8203;il.example.jp/a", "evil.example.jp/a"},
    /* masks */
    {"hxxps://evil.example.jp/a", E},
    {"hXXp://evil.example.jp/a", "http://evil.example.jp/a"},
    {"h**ps://evil.example.jp/a", E},
    {"ttps://evil.example.jp/a", E},
    {"ttp://evil.example.jp/a", "http://evil.example.jp/a"},
    {"tp://evil.example.jp/a", "evil.example.jp/a"},
    {"ｈｔｔｐ[:]//evil.example.jp/a", "http://evil.example.jp/a"},
    {"https://evil[.]example[.]jp/a", E},
    {"hxxps[://]evil[.]example[.]jp/a", E},
    {"https://evil(.)example{.}jp/a", E},
    {"https://evil[dot]example(DOT)jp/a", E},
    {"evil{dot}example{dot}jp", "evil.example.jp/"},
    {"evil［ドット］example（ドット）jp", "evil.example.jp/"},
    {"evil dot example dot jp", "evil.example.jp/"},
    {"evil . example . jp", "evil.example.jp/"},
    {"evil ． example　．　jp/a", "evil.example.jp/a"},
    {"evil [dot] example [.] jp/a", "evil.example.jp/a"},
    {"evil ドット example　ドット　jp", "evil.example.jp/"},
    {"https://evil dot example dot jp/a", "https://evil.example/ " E},
    /* addresses */
    {"http://192.0.2.7/a", "http://192.0.2.7/a"},
    {"http://3221225991/a", "http://192.0.2.7/a"},
    {"http://0xC0000207/a", "http://192.0.2.7/a"},
    {"http://0300.0.02.07/a", "http://192.0.2.7/a"},
    {"http://0xc0.0.519/a", "http://192.0.2.7/a"},
    {"http://192。0。2。7/a", "http://192.0.2.7/a"},
    {"192.0.2.7:8080/a", "192.0.2.7:8080/a"},
    {"http://[2001:DB8::7]:8080/a", "http://[2001:db8::7]:8080/a"},
    {"http://[::ffff:192.0.2.7]/", "http://192.0.2.7/"},
    /* internationalised names */
    {"https://日本語.jp/a", "https://xn--wgv71a119e.jp/a"},
    {"https://xn--wgv71a119e.jp/a", "https://xn--wgv71a119e.jp/a"},
    {"XN--WGV71A119E.JP", "xn--wgv71a119e.jp/"},
    {"日本語.jp", "xn--wgv71a119e.jp/"},
    {"https://i\u2764\ufe0f.ws/a", "https://xn--i-7iq.ws/a"},
    {"https://\U0001f4a9.la", "https://xn--ls8h.la/"},
    {"http://A.\u2603.EXAMPLE.jp/", "http://a.xn--n3h.example.jp/"},
    {"I\u2764.ws", "xn--i-7iq.ws/"},
    {"例え.みんな", "xn--r8jz45g.xn--q9jyb4c/"},
    {"https://раypal.com/a", "https://xn--ypal-43d9g.com/a"},
    {"раypal.com", "xn--ypal-43d9g.com/"},
    {"https://bücher.de/", "https://xn--bcher-kva.de/"},
    {"https://faß.de/", "https://xn--fa-hia.de/"},
    /* bare */
    {"www.evil.example/a", "www.evil.example/a"},
    {"www.evil.pizza-place", ""},
    {"evil.example.jp", "evil.example.jp/"},
    {"evil.example.jp:8443", "evil.example.jp:8443/"},
    {"evil.pizzeria/menu", "evil.pizzeria/menu"},
    {"bit.ly/3abc", "bit.ly/3abc"},
    {"//evil.example.jp/a", "evil.example.jp/a"},
    {"ftp://evil.example.jp/a", "evil.example.jp/a"},
    {"こちらはevil.example.jpです。", "evil.example.jp/"},
    {"見てください。evil.example.jp", "evil.example.jp/"},
    {"a.jp。www.b.jp", "a.jp/ a.jp.www.b.jp/ www.b.jp/"},
    {"(evil.example.jp)", "evil.example.jp/"},
    {"サイト：evil.example.jp/a", "evil.example.jp/a"},
    {"evil.example.jp.", "evil.example.jp/"},
    {"_evil.example.jp_", "evil.example.jp/"},
    {"{\"domain\":\"evil.example.jp\",\"n\":1.5}", "evil.example.jp/"},
    /* other programs */
    {"intent://evil.example.jp/a#Intent;scheme=https;end", E},
    {"intent://good.jp/a#Intent;scheme=http;S.browser_fallback_url=https%3A%2F%2Fevil.example.jp"
     "%2Fa;end",
     "http://good.jp/a +" E},
    {"googlechrome://navigate?url=https://evil.example.jp/a", E},
    {"microsoft-edge:https://evil.example.jp/a", E},
    /* redirectors */
    {"https://www.google.com/url?q=https%3A%2F%2Fevil.example.jp%2Fa&sa=D",
     "https://www.google.com/url?q=https%3A%2F%2Fevil.example.jp%2Fa&sa=D >" E},
    {"https://l.facebook.com/l.php?u=https%3A%2F%2Fwww.google.com%2Furl%3Fq%3Dhttps%253A%252F%252F"
     "evil.example.jp",
     "https://l.facebook.com/l.php?u=https%3A%2F%2Fwww.google.com%2Furl%3Fq%3Dhttps%253A%252F%252F"
     "evil.example.jp >https://evil.example.jp/ "
     "+https://www.google.com/url?q=https%3A%2F%2Fevil.example.jp"},
    {"https://evil-example-jp.mcas.ms/a", "https://evil-example-jp.mcas.ms/a"},
    /* base64 */
    {"aHR0cHM6Ly9ldmlsLmV4YW1wbGUuanAvYQ==", "+" E},
    {"aHR0cHM6Ly9ldmlsLmV4YW1wbGUuanAvYQ", "+" E},
    {"{\"body\":\"aHR0cHM6Ly9ldmlsLmV4YW1wbGUuanAvYQ==\"}", "+" E},
    {"\"6KaL44GmIGh0dHBzOi8vZXZpbC5leGFtcGxlLmpwL2HjgafjgZk=\"", "+" E " +" E "%E3%81%A7%E3%81%99"},
    {"text=aHR0cHM6Ly9ldmlsLmV4YW1wbGUuanAvYQ", "+" E},
    {"https://good.jp/?r=aHR0cHM6Ly9ldmlsLmV4YW1wbGUuanAvYQ",
     "https://good.jp/?r=aHR0cHM6Ly9ldmlsLmV4YW1wbGUuanAvYQ +" E},
    {"\"c2VlIGV2aWwuZXhhbXBsZS5qcCBub3c=\"", "+evil.example.jp/"},
    /* as chats send them */
    {"{\"body\":{\"contentType\":\"html\",\"content\":\"<p><a "
     "href=\\\"https://evil.example.jp/a\\\" "
     "title=\\\"https://evil.example.jp/a\\\">https://evil.example.jp/a</a></p>\"}}",
     E " " E " " E},
    {"{\"content\":\"\\u003cp\\u003e\\u003ca href=\\u0022https:\\/\\/evil.example.jp\\/"
     "a\\u0022\\u003ehere\\u003c/a\\u003e\"}",
     E},
    {"{\"attachments\":[{\"contentUrl\":\"https://evil.example.jp/a\"}]}", E},
    {"https://jpn01.safelinks.protection.outlook.com/"
     "?url=https%3A%2F%2Fevil.example.jp%2Fa&data=05",
     "https://jpn01.safelinks.protection.outlook.com/"
     "?url=https%3A%2F%2Fevil.example.jp%2Fa&data=05 >" E},
    {"{\"text\":\"見て <https:\\/\\/evil.example.jp\\/a|こちら> です\"}", E},
    {"{\"text\":\"<https:\\/\\/evil.example.jp\\/a>\"}", E},
    {"{\"text\":\"\\u003chttps://evil.example.jp/a\\u007cclick\\u003e\"}", E},
    {"{\"text\":\"&lt;https://evil.example.jp/a|click&gt;\"}", E},
    {"{\"type\":\"link\",\"url\":\"https:\\/\\/evil.example.jp\\/a\",\"text\":\"x\"}", E},
    {"[見て](<https://evil.example.jp/a>)", E},
    {"[見て](https://evil.example.jp/a \"題\")", E},
    {"[1]: https://evil.example.jp/a", E},
    {"![](https://evil.example.jp/a)", E},
    {"`https://evil.example.jp/a`", E},
    {"||https://evil.example.jp/a||", E},
    {"~~https://evil.example.jp/a~~", E " " E "~~"},
    {"> https://evil.example.jp/a", E},
    {"{\"m\":\"&#104;ttps://evil.example.jp/a\"}", E},
    {"{\"m\":\"https:&#x2F;&#x2F;evil.example.jp&#x2F;a\"}", E},
    {"{\"m\":\"\\u0026lt;a href=\\u0026quot;https://evil.example.jp/a\\u0026quot;\"}", E},
    {"https://evil.example.jp/a&nbsp;です", E},
    {"https://evil.example.jp/a）。", E},
    {"https://evil.example.jp/a』", E},
    {"https://evil.example.jp/a】", E},
    {"https://evil.example.jp/a！", E " " E "! https://evil.example.jp/a%EF%BC%81"},
    {"https://evil.example.jp/a？",
     E " https://evil.example.jp/a? https://evil.example.jp/a%EF%BC%9F"},
    {"https://evil.example.jp/a…", E},
    {"https://evil.example.jp/a☞", E " https://evil.example.jp/a%E2%98%9E"},
    {"URL：https://evil.example.jp/a", E},
    {"→https://evil.example.jp/a←", E},
    {"\u200fhttps://evil.example.jp/a\u200f", E},
    {"\u061chttps://evil\u200f.example.jp/a", E},
    {"https://evil．example．jp/a", E},
    {"evil．example．jp", "evil.example.jp/"},
    {"evil。example。jp", "evil.example.jp/"},
    {"https://evil[.]example[.]jp[/]a", E},
    {"BEGIN:VCARD\nURL:https://evil.example.jp/a\nEND:VCARD", E},
    {"MATMSG:TO:;BODY:https://evil.example.jp/a;;", E " " E ";;"},
    {"{\"ops\":[{\"insert\":\"x\",\"attributes\":{\"link\":\"https://evil.example.jp/a\"}}]}", E},
    {"<a href='https://evil.example.jp/a' target='_blank'>x</a>", E},
    {"<image xlink:href=\"https://evil.example.jp/a\"/>", E},
    {"event: message\ndata: https://evil.example.jp/a", E},
};

/* No links, and nothing is found. */
static const struct link_case nothing[] = {
    {"", ""},
    {"file.txt", ""},
    {"report.pdf and setup.exe", ""},
    {"e.g. i.e. a.m. p.m.", ""},
    {"3.14 1.2.3 10:30 50%", ""},
    {"taro@example.jp", ""},
    {"mailto:taro@example.jp?subject=x", ""},
    {"<taro@example.jp>, xmpp:hanako@chat.example.jp/phone", ""},
    {"tel:+81-3-1234-5678", ""},
    {"application/vnd.ms-excel text/html", ""},
    {"path/to/example.jp", ""},
    {"polka dot me", ""},
    {"The end . Me too . It is", ""},
    {". . . ... . jp", ""},
    {"dot com dot", ""},
    {"https://", ""},
    {"https:// example", ""},
    {"https://intranet/a", ""},
    {"https://ｉｎｔｒａｎｅｔ．/a", ""},
    {"https://[::1", ""},
    {"http: and https: are schemes", ""},
    {"https://-/ https://./ https://@/ https://:80/", ""},
    {"http://1.2.3.4.5/ http://256.1.1.1/ http://0x1ffffffff/", ""},
    {"\\u \\u00 \\x &# &; &#x; &#xffffffffff; \\", ""},
    {"\xff\xfe\x80 \xe3\x81", ""},
    {"dGhpcyBpcyBvbmx5IGEgdGV4dA== ZXhhbXBsZS50eHQgYW5kIG1vcmU=", ""},
    {"0123456789abcdef0123456789abcdef 3f786850e387550fdab836ed7e6dc881de23001b", ""},
    {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", ""},
    {"{\"a\":[1.5,{\"b.c\":true}],\"d\":\"12:30:00.000Z\"}", ""},
};

/* Links that are missed: what is found instead of them, if anything. */
static const struct link_case missed[] = {
    {"YUhSMGNITTZMeTlsZG1sc0xtVjRZVzF3YkdVdWFuQXZZUT09", ""},   /* base64 in base64 */
    {"68747470733a2f2f6576696c2e6578616d706c652e6a702f61", ""}, /* hexadecimal */
    {"https://evil .example .jp/a", ""},                        /* blanks */
    {"evil. example. jp", ""},                                  /* blanks behind the dots */
    {"h t t p s : / / evil.example.jp", "evil.example.jp/"},    /* only the name */
    {"h%74tps://evil.example.jp/a", "evil.example.jp/a"},       /* a scheme escaped in part */
    {"https[colon]//evil.example.jp/a", "evil.example.jp/a"},   /* a word for the colon */
    {"evil-dot-example-dot-jp", ""},                            /* a mask without brackets */
    {"evil,example,jp", ""},                                    /* another mark for the dot */
    {"https://evil\u2024example.jp/a", "example.jp/a"},         /* one dot leader */
    {"https://evil<wbr>.example.jp/a", "example.jp/a"},         /* markup inside */
    {"https://例え。テスト/a", ""},    /* a full stop between letters of no ASCII */
    {"日本example.jp", "example.jp/"}, /* kanji before ASCII count as the sentence */
    {"evil.rs", ""},                   /* a domain that is rather a file */
    {"taro@evil.example.jp/a", ""},    /* user information without a scheme */
    {"pj.elpmaxe.live//:sptth", "pj.elpmaxe.live//:sptth"}, /* written backwards */
    {"https://evil.example.jp/a|b", E}, /* the bar ends it: another path, same host */
    {"https://evil.example.jp/a?x=\xef\xbc\xa1",
     "https://evil.example.jp/a?x=A https://evil.example.jp/a?x= "
     "https://evil.example.jp/a?x=%EF%BC%A1"}, /* found, with readings that nobody meant */
};

#undef E

#endif
