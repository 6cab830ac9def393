/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file is said to be: its extension and its declared media type. Both tables are sorted, for
 * they are asked on every response. The extensions are the union of what Chromium, Firefox, Outlook
 * and Gmail block, with these exceptions: xml, xsl, xsd and rels, which a browser shows and nothing
 * runs; Visio's documents without macros; archives, which have rows of the policy of their own; and
 * asp, aspx and action, which is what servers call the programs that make their pages. The one
 * certificate that a page may hand over is the gateway's own, and that does not pass through it.
 */
#include "filters/filetype.h"

#include <stdlib.h>
#include <string.h>

#include "filters/ascii.h"

void file_type_describe(enum file_type type, struct file_facts *facts)
{
    static const struct file_facts rows[] = {
#define X(symbol, name, mime, danger) {name, mime, FILE_##danger},
        FILE_TYPES(X)
#undef X
    };

    *facts = rows[type];
}

struct named_type {
    const char *name; /* lower case */
    enum file_type type;
};

/* Longest name that is looked up, and one. */
#define NAME_ROOM 96

/* clang-format off */
static const struct named_type extensions[] = {
    {"001", TYPE_OTHER_ARCHIVE}, {"3g2", TYPE_MP4}, {"3gp", TYPE_MP4}, {"7z", TYPE_SEVEN_ZIP},
    {"a3x", TYPE_SCRIPT}, {"aab", TYPE_APK}, {"aac", TYPE_AAC}, {"accda", TYPE_ACCESS},
    {"accdb", TYPE_ACCESS}, {"accde", TYPE_ACCESS}, {"accdr", TYPE_ACCESS}, {"accdt", TYPE_ACCESS},
    {"accdu", TYPE_ACCESS}, {"accdw", TYPE_ACCESS}, {"ace", TYPE_ACE}, {"acm", TYPE_PE},
    {"ad", TYPE_ACCESS}, {"ade", TYPE_ACCESS}, {"adn", TYPE_ACCESS}, {"adp", TYPE_ACCESS},
    {"afploc", TYPE_SHORTCUT}, {"ahk", TYPE_SCRIPT}, {"aif", TYPE_AIFF}, {"aifc", TYPE_AIFF},
    {"aiff", TYPE_AIFF}, {"air", TYPE_PACKAGE}, {"alz", TYPE_OTHER_ARCHIVE}, {"apk", TYPE_APK},
    {"apkm", TYPE_APK}, {"apks", TYPE_APK}, {"apng", TYPE_PNG}, {"app", TYPE_PACKAGE},
    {"appimage", TYPE_ELF}, {"appinstaller", TYPE_APPX}, {"applescript", TYPE_SCRIPT},
    {"application", TYPE_PACKAGE}, {"appref-ms", TYPE_PACKAGE}, {"appx", TYPE_APPX},
    {"appxbundle", TYPE_APPX}, {"ar", TYPE_AR}, {"arc", TYPE_OTHER_ARCHIVE}, {"arj", TYPE_ARJ},
    {"as", TYPE_SCRIPT}, {"asx", TYPE_SETTINGS}, {"atloc", TYPE_SHORTCUT}, {"atom", TYPE_XML},
    {"au", TYPE_AU}, {"au3", TYPE_SCRIPT}, {"avhd", TYPE_VHD}, {"avhdx", TYPE_VHD},
    {"avi", TYPE_AVI}, {"avif", TYPE_AVIF}, {"awk", TYPE_SCRIPT}, {"ax", TYPE_PE},
    {"axf", TYPE_ELF}, {"b5t", TYPE_DISK_IMAGE}, {"b64", TYPE_ENCODED}, {"b6t", TYPE_DISK_IMAGE},
    {"balz", TYPE_OTHER_ARCHIVE}, {"bas", TYPE_SCRIPT}, {"bash", TYPE_SCRIPT}, {"bat", TYPE_SCRIPT},
    {"bhx", TYPE_ENCODED}, {"bin", TYPE_OTHER_ARCHIVE}, {"bmp", TYPE_BMP}, {"btm", TYPE_SCRIPT},
    {"bundle", TYPE_MACH_O}, {"bwt", TYPE_DISK_IMAGE}, {"bz", TYPE_BZIP2}, {"bz2", TYPE_BZIP2},
    {"bzip2", TYPE_BZIP2}, {"cab", TYPE_CAB}, {"caction", TYPE_PACKAGE}, {"ccd", TYPE_DISK_IMAGE},
    {"cdi", TYPE_DISK_IMAGE}, {"cdr", TYPE_DISK_IMAGE}, {"cdxml", TYPE_SCRIPT},
    {"cer", TYPE_CERTIFICATE}, {"cfg", TYPE_SETTINGS}, {"chi", TYPE_HELP}, {"chm", TYPE_HELP},
    {"chw", TYPE_HELP}, {"cjs", TYPE_SCRIPT}, {"class", TYPE_JAVA_CLASS}, {"cmd", TYPE_SCRIPT},
    {"cnt", TYPE_HELP}, {"com", TYPE_DOS}, {"command", TYPE_SCRIPT},
    {"configprofile", TYPE_MOBILECONFIG}, {"contact", TYPE_SETTINGS}, {"cpgz", TYPE_CPIO},
    {"cpi", TYPE_PACKAGE}, {"cpio", TYPE_CPIO}, {"cpl", TYPE_PE}, {"crt", TYPE_CERTIFICATE},
    {"crx", TYPE_CRX}, {"csh", TYPE_SCRIPT}, {"css", TYPE_CSS}, {"csv", TYPE_CSV},
    {"cue", TYPE_DISK_IMAGE}, {"cur", TYPE_ICON}, {"daa", TYPE_DISK_IMAGE},
    {"dart", TYPE_DISK_IMAGE}, {"dc42", TYPE_DISK_IMAGE}, {"dcm", TYPE_DICOM}, {"deb", TYPE_DEB},
    {"definition", TYPE_PACKAGE}, {"der", TYPE_CERTIFICATE}, {"deskthemepack", TYPE_SETTINGS},
    {"desktop", TYPE_SHORTCUT}, {"dex", TYPE_DEX}, {"dgc", TYPE_OTHER_ARCHIVE},
    {"diagcab", TYPE_PACKAGE}, {"diagcfg", TYPE_PACKAGE}, {"diagpkg", TYPE_PACKAGE},
    {"dib", TYPE_BMP}, {"dicom", TYPE_DICOM}, {"dif", TYPE_OLE2}, {"diskcopy42", TYPE_DISK_IMAGE},
    {"dl_", TYPE_PE}, {"dll", TYPE_PE}, {"dmg", TYPE_DMG}, {"dmgpart", TYPE_DMG},
    {"doc", TYPE_OLE2}, {"docm", TYPE_OOXML_MACRO}, {"docx", TYPE_DOCX}, {"dot", TYPE_OLE2},
    {"dotm", TYPE_OOXML_MACRO}, {"dotx", TYPE_DOCX}, {"dqy", TYPE_OLE2}, {"drv", TYPE_PE},
    {"dvdr", TYPE_DISK_IMAGE}, {"dylib", TYPE_MACH_O}, {"ear", TYPE_JAR}, {"efi", TYPE_PE},
    {"egg", TYPE_OTHER_ARCHIVE}, {"ehtml", TYPE_HTML}, {"elf", TYPE_ELF}, {"eml", TYPE_MAIL},
    {"emlx", TYPE_MAIL}, {"eot", TYPE_EOT}, {"eps", TYPE_POSTSCRIPT}, {"epub", TYPE_EPUB},
    {"esd", TYPE_DISK_IMAGE}, {"ex", TYPE_PE}, {"ex_", TYPE_PE}, {"exe", TYPE_PE},
    {"fat", TYPE_DISK_IMAGE}, {"fileloc", TYPE_SHORTCUT}, {"fish", TYPE_SCRIPT},
    {"flac", TYPE_FLAC}, {"flatpak", TYPE_PACKAGE}, {"flatpakref", TYPE_PACKAGE},
    {"flp", TYPE_DISK_IMAGE}, {"flv", TYPE_FLV}, {"fon", TYPE_PE}, {"ftploc", TYPE_SHORTCUT},
    {"fxp", TYPE_SETTINGS}, {"gadget", TYPE_PACKAGE}, {"gca", TYPE_OTHER_ARCHIVE},
    {"gem", TYPE_PACKAGE}, {"gif", TYPE_GIF}, {"grp", TYPE_SETTINGS}, {"gz", TYPE_GZIP},
    {"gzip", TYPE_GZIP}, {"hdd", TYPE_DISK_IMAGE}, {"heic", TYPE_HEIC}, {"heif", TYPE_HEIC},
    {"hfs", TYPE_DISK_IMAGE}, {"hif", TYPE_HEIC}, {"hlp", TYPE_HELP}, {"hpj", TYPE_SCRIPT},
    {"hqx", TYPE_ENCODED}, {"hta", TYPE_HTA}, {"htc", TYPE_SCRIPT}, {"htm", TYPE_HTML},
    {"html", TYPE_HTML}, {"htt", TYPE_HTA}, {"ica", TYPE_SETTINGS}, {"ico", TYPE_ICON},
    {"ics", TYPE_CALENDAR}, {"ima", TYPE_DISK_IMAGE}, {"img", TYPE_DISK_IMAGE},
    {"imgpart", TYPE_DISK_IMAGE}, {"imz", TYPE_DISK_IMAGE}, {"inetloc", TYPE_SHORTCUT},
    {"inf", TYPE_SETTINGS}, {"ini", TYPE_SETTINGS}, {"ins", TYPE_SETTINGS},
    {"internetconnect", TYPE_SETTINGS}, {"inx", TYPE_PACKAGE}, {"ipa", TYPE_IPA},
    {"ipk", TYPE_PACKAGE}, {"iqy", TYPE_OLE2}, {"iso", TYPE_ISO}, {"isp", TYPE_SETTINGS},
    {"isu", TYPE_PACKAGE}, {"isz", TYPE_ISO}, {"its", TYPE_HELP}, {"jar", TYPE_JAR},
    {"jaw", TYPE_OLE2}, {"jfif", TYPE_JPEG}, {"jnlp", TYPE_JAR}, {"job", TYPE_SETTINGS},
    {"jpe", TYPE_JPEG}, {"jpeg", TYPE_JPEG}, {"jpg", TYPE_JPEG}, {"js", TYPE_SCRIPT},
    {"jse", TYPE_SCRIPT}, {"json", TYPE_JSON}, {"jtd", TYPE_OLE2}, {"jtt", TYPE_OLE2},
    {"jtw", TYPE_OLE2}, {"jxl", TYPE_JXL}, {"ko", TYPE_ELF}, {"ksh", TYPE_SCRIPT},
    {"lha", TYPE_LZH}, {"lib", TYPE_SETTINGS}, {"library-ms", TYPE_SHORTCUT},
    {"lnk", TYPE_SHORTCUT}, {"local", TYPE_SETTINGS}, {"log", TYPE_TEXT},
    {"lpaq1", TYPE_OTHER_ARCHIVE}, {"lpaq5", TYPE_OTHER_ARCHIVE}, {"lpaq8", TYPE_OTHER_ARCHIVE},
    {"lua", TYPE_SCRIPT}, {"lz", TYPE_LZIP}, {"lz4", TYPE_LZ4}, {"lzh", TYPE_LZH},
    {"lzma", TYPE_LZMA}, {"lzs", TYPE_LZH}, {"m2ts", TYPE_MPEG_TS}, {"m2v", TYPE_MPEG},
    {"m3u", TYPE_TEXT}, {"m3u8", TYPE_TEXT}, {"m4a", TYPE_MP4}, {"m4s", TYPE_MP4},
    {"m4v", TYPE_MP4}, {"mad", TYPE_ACCESS}, {"maf", TYPE_ACCESS}, {"mag", TYPE_ACCESS},
    {"mam", TYPE_ACCESS}, {"manifest", TYPE_SETTINGS}, {"map", TYPE_JSON}, {"maq", TYPE_ACCESS},
    {"mar", TYPE_ACCESS}, {"mas", TYPE_ACCESS}, {"mat", TYPE_ACCESS}, {"mau", TYPE_ACCESS},
    {"mav", TYPE_ACCESS}, {"maw", TYPE_ACCESS}, {"mbox", TYPE_MAIL}, {"mbx", TYPE_MAIL},
    {"mcf", TYPE_SETTINGS}, {"md", TYPE_TEXT}, {"mda", TYPE_ACCESS}, {"mdb", TYPE_ACCESS},
    {"mde", TYPE_ACCESS}, {"mdf", TYPE_DISK_IMAGE}, {"mdn", TYPE_ACCESS}, {"mds", TYPE_DISK_IMAGE},
    {"mdt", TYPE_ACCESS}, {"mdw", TYPE_ACCESS}, {"mdz", TYPE_ACCESS}, {"mht", TYPE_MAIL},
    {"mhtml", TYPE_MAIL}, {"mid", TYPE_MIDI}, {"midi", TYPE_MIDI}, {"mim", TYPE_ENCODED},
    {"mjs", TYPE_SCRIPT}, {"mka", TYPE_MATROSKA}, {"mkv", TYPE_MATROSKA}, {"mmc", TYPE_SETTINGS},
    {"mobileconfig", TYPE_MOBILECONFIG}, {"mobileprovision", TYPE_MOBILECONFIG},
    {"mof", TYPE_SCRIPT}, {"mov", TYPE_MP4}, {"mp3", TYPE_MP3}, {"mp4", TYPE_MP4},
    {"mpd", TYPE_TEXT}, {"mpe", TYPE_MPEG}, {"mpeg", TYPE_MPEG}, {"mpg", TYPE_MPEG},
    {"mpkg", TYPE_XAR}, {"mpp", TYPE_OLE2}, {"msc", TYPE_SETTINGS}, {"msg", TYPE_MAIL},
    {"msh", TYPE_SCRIPT}, {"msh1", TYPE_SCRIPT}, {"msh1xml", TYPE_SCRIPT}, {"msh2", TYPE_SCRIPT},
    {"msh2xml", TYPE_SCRIPT}, {"mshxml", TYPE_SCRIPT}, {"msi", TYPE_MSI}, {"msix", TYPE_APPX},
    {"msixbundle", TYPE_APPX}, {"msp", TYPE_MSI}, {"mst", TYPE_MSI}, {"msu", TYPE_MSI},
    {"mts", TYPE_MPEG_TS}, {"mui", TYPE_PE}, {"ndif", TYPE_DISK_IMAGE},
    {"networkconnect", TYPE_SETTINGS}, {"node", TYPE_PE}, {"nrg", TYPE_DISK_IMAGE},
    {"nsh", TYPE_PACKAGE}, {"ntfs", TYPE_DISK_IMAGE}, {"nupkg", TYPE_PACKAGE}, {"nws", TYPE_MAIL},
    {"o", TYPE_ELF}, {"ocx", TYPE_PE}, {"odb", TYPE_ODF_MACRO}, {"odc", TYPE_ODF},
    {"odex", TYPE_DEX}, {"odf", TYPE_ODF}, {"odg", TYPE_ODF}, {"odi", TYPE_ODF},
    {"odm", TYPE_ODF_MACRO}, {"odp", TYPE_ODF}, {"ods", TYPE_ODF}, {"odt", TYPE_ODF},
    {"oft", TYPE_MAIL}, {"oga", TYPE_OGG}, {"ogg", TYPE_OGG}, {"ogv", TYPE_OGG}, {"ogx", TYPE_OGG},
    {"one", TYPE_ONENOTE}, {"onepkg", TYPE_ONENOTE}, {"onetoc", TYPE_ONENOTE},
    {"onetoc2", TYPE_ONENOTE}, {"ops", TYPE_ACCESS}, {"opus", TYPE_OGG}, {"oqy", TYPE_OLE2},
    {"osas", TYPE_SCRIPT}, {"osax", TYPE_PACKAGE}, {"osd", TYPE_SETTINGS}, {"ost", TYPE_MAIL},
    {"otf", TYPE_OTF}, {"otm", TYPE_ODF_MACRO}, {"otp", TYPE_ODF}, {"ots", TYPE_ODF},
    {"ott", TYPE_ODF}, {"out", TYPE_SCRIPT}, {"ovpn", TYPE_SETTINGS}, {"oxps", TYPE_OOXML},
    {"oxt", TYPE_PACKAGE}, {"p12", TYPE_CERTIFICATE}, {"p7b", TYPE_CERTIFICATE},
    {"p7r", TYPE_CERTIFICATE}, {"paf", TYPE_PACKAGE}, {"paq8f", TYPE_OTHER_ARCHIVE},
    {"paq8jd", TYPE_OTHER_ARCHIVE}, {"paq8l", TYPE_OTHER_ARCHIVE}, {"paq8o", TYPE_OTHER_ARCHIVE},
    {"partial", TYPE_SETTINGS}, {"pax", TYPE_TAR}, {"pcd", TYPE_SETTINGS}, {"pdf", TYPE_PDF},
    {"pea", TYPE_OTHER_ARCHIVE}, {"pet", TYPE_PACKAGE}, {"pfx", TYPE_CERTIFICATE},
    {"phar", TYPE_SCRIPT}, {"pif", TYPE_DOS}, {"pjpeg", TYPE_JPEG}, {"pkg", TYPE_XAR},
    {"pl", TYPE_SCRIPT}, {"plf", TYPE_SETTINGS}, {"plg", TYPE_SETTINGS}, {"png", TYPE_PNG},
    {"pot", TYPE_OLE2}, {"potm", TYPE_OOXML_MACRO}, {"potx", TYPE_PPTX}, {"ppa", TYPE_OLE2},
    {"ppam", TYPE_OOXML_MACRO}, {"pps", TYPE_OLE2}, {"ppsm", TYPE_OOXML_MACRO}, {"ppsx", TYPE_PPTX},
    {"ppt", TYPE_OLE2}, {"pptm", TYPE_OOXML_MACRO}, {"pptx", TYPE_PPTX}, {"prf", TYPE_SETTINGS},
    {"prg", TYPE_SETTINGS}, {"provisionprofile", TYPE_MOBILECONFIG}, {"ps", TYPE_POSTSCRIPT},
    {"ps1", TYPE_SCRIPT}, {"ps1xml", TYPE_SCRIPT}, {"ps2", TYPE_SCRIPT}, {"ps2xml", TYPE_SCRIPT},
    {"psc1", TYPE_SCRIPT}, {"psc2", TYPE_SCRIPT}, {"psd1", TYPE_SCRIPT}, {"psm1", TYPE_SCRIPT},
    {"psrc", TYPE_SCRIPT}, {"pssc", TYPE_SCRIPT}, {"pst", TYPE_MAIL}, {"pub", TYPE_OLE2},
    {"puff", TYPE_ELF}, {"pup", TYPE_PACKAGE}, {"py", TYPE_SCRIPT}, {"pyc", TYPE_SCRIPT},
    {"pyd", TYPE_PE}, {"pyo", TYPE_SCRIPT}, {"pyw", TYPE_SCRIPT}, {"pyz", TYPE_SCRIPT},
    {"pyzw", TYPE_SCRIPT}, {"qcow", TYPE_DISK_IMAGE}, {"qcow2", TYPE_DISK_IMAGE}, {"qt", TYPE_MP4},
    {"quad", TYPE_OTHER_ARCHIVE}, {"r00", TYPE_OTHER_ARCHIVE}, {"r01", TYPE_OTHER_ARCHIVE},
    {"r02", TYPE_OTHER_ARCHIVE}, {"r03", TYPE_OTHER_ARCHIVE}, {"r04", TYPE_OTHER_ARCHIVE},
    {"r05", TYPE_OTHER_ARCHIVE}, {"r06", TYPE_OTHER_ARCHIVE}, {"r07", TYPE_OTHER_ARCHIVE},
    {"r08", TYPE_OTHER_ARCHIVE}, {"r09", TYPE_OTHER_ARCHIVE}, {"r10", TYPE_OTHER_ARCHIVE},
    {"r11", TYPE_OTHER_ARCHIVE}, {"r12", TYPE_OTHER_ARCHIVE}, {"r13", TYPE_OTHER_ARCHIVE},
    {"r14", TYPE_OTHER_ARCHIVE}, {"r15", TYPE_OTHER_ARCHIVE}, {"r16", TYPE_OTHER_ARCHIVE},
    {"r17", TYPE_OTHER_ARCHIVE}, {"r18", TYPE_OTHER_ARCHIVE}, {"r19", TYPE_OTHER_ARCHIVE},
    {"r20", TYPE_OTHER_ARCHIVE}, {"r21", TYPE_OTHER_ARCHIVE}, {"r22", TYPE_OTHER_ARCHIVE},
    {"r23", TYPE_OTHER_ARCHIVE}, {"r24", TYPE_OTHER_ARCHIVE}, {"r25", TYPE_OTHER_ARCHIVE},
    {"r26", TYPE_OTHER_ARCHIVE}, {"r27", TYPE_OTHER_ARCHIVE}, {"r28", TYPE_OTHER_ARCHIVE},
    {"r29", TYPE_OTHER_ARCHIVE}, {"rar", TYPE_RAR}, {"rb", TYPE_SCRIPT}, {"rdp", TYPE_SHORTCUT},
    {"rdpx", TYPE_SHORTCUT}, {"reg", TYPE_SETTINGS}, {"rels", TYPE_XML}, {"rgs", TYPE_SCRIPT},
    {"rpm", TYPE_RPM}, {"rqy", TYPE_OLE2}, {"rss", TYPE_XML}, {"rtd", TYPE_OLE2}, {"rtf", TYPE_RTF},
    {"run", TYPE_SCRIPT}, {"scf", TYPE_SHORTCUT}, {"scpt", TYPE_SCRIPT}, {"scptd", TYPE_SCRIPT},
    {"scr", TYPE_PE}, {"sct", TYPE_SCRIPT}, {"search-ms", TYPE_SHORTCUT},
    {"searchconnector-ms", TYPE_SHORTCUT}, {"seplugin", TYPE_SETTINGS}, {"service", TYPE_SETTINGS},
    {"settingcontent-ms", TYPE_SHORTCUT}, {"sfs", TYPE_SQUASHFS}, {"sh", TYPE_SCRIPT},
    {"shar", TYPE_SCRIPT}, {"shb", TYPE_SHORTCUT}, {"shs", TYPE_SHORTCUT}, {"shtm", TYPE_HTML},
    {"shtml", TYPE_HTML}, {"sit", TYPE_OTHER_ARCHIVE}, {"sitx", TYPE_OTHER_ARCHIVE},
    {"sldm", TYPE_OOXML_MACRO}, {"sldx", TYPE_OOXML}, {"slk", TYPE_OLE2}, {"slp", TYPE_PACKAGE},
    {"smi", TYPE_DISK_IMAGE}, {"snap", TYPE_PACKAGE}, {"snd", TYPE_AU}, {"so", TYPE_ELF},
    {"sparsebundle", TYPE_DISK_IMAGE}, {"sparseimage", TYPE_DISK_IMAGE}, {"spc", TYPE_CERTIFICATE},
    {"spl", TYPE_SWF}, {"sqfs", TYPE_SQUASHFS}, {"squashfs", TYPE_SQUASHFS}, {"srt", TYPE_TEXT},
    {"svg", TYPE_SVG}, {"svgz", TYPE_SVG}, {"swf", TYPE_SWF}, {"swm", TYPE_DISK_IMAGE},
    {"symlink", TYPE_SHORTCUT}, {"sys", TYPE_PE}, {"tar", TYPE_TAR}, {"taz", TYPE_GZIP},
    {"tbz", TYPE_BZIP2}, {"tbz2", TYPE_BZIP2}, {"tcl", TYPE_SCRIPT}, {"tcsh", TYPE_SCRIPT},
    {"terminal", TYPE_SCRIPT}, {"text", TYPE_TEXT}, {"tgz", TYPE_GZIP}, {"theme", TYPE_SETTINGS},
    {"themepack", TYPE_SETTINGS}, {"thmx", TYPE_OOXML}, {"tif", TYPE_TIFF}, {"tiff", TYPE_TIFF},
    {"tlz", TYPE_LZMA}, {"tmp", TYPE_SETTINGS}, {"toast", TYPE_DISK_IMAGE}, {"tool", TYPE_SCRIPT},
    {"tpz", TYPE_GZIP}, {"ts", TYPE_MPEG_TS}, {"tsp", TYPE_PE}, {"tsv", TYPE_CSV},
    {"ttc", TYPE_TTC}, {"ttf", TYPE_TTF}, {"txt", TYPE_TEXT}, {"txz", TYPE_XZ},
    {"tz", TYPE_COMPRESS}, {"tzst", TYPE_ZSTD}, {"u3p", TYPE_PACKAGE}, {"udeb", TYPE_DEB},
    {"udf", TYPE_DISK_IMAGE}, {"udif", TYPE_DISK_IMAGE}, {"udl", TYPE_SETTINGS},
    {"uif", TYPE_DISK_IMAGE}, {"url", TYPE_SHORTCUT}, {"uu", TYPE_ENCODED}, {"uue", TYPE_ENCODED},
    {"vb", TYPE_SCRIPT}, {"vbe", TYPE_SCRIPT}, {"vbp", TYPE_SCRIPT}, {"vbs", TYPE_SCRIPT},
    {"vbscript", TYPE_SCRIPT}, {"vcf", TYPE_CONTACT}, {"vdi", TYPE_DISK_IMAGE},
    {"vdx", TYPE_OOXML_MACRO}, {"vfd", TYPE_DISK_IMAGE}, {"vhd", TYPE_VHD}, {"vhdx", TYPE_VHD},
    {"vmdk", TYPE_DISK_IMAGE}, {"vsd", TYPE_OLE2}, {"vsdm", TYPE_OOXML_MACRO}, {"vsdx", TYPE_OOXML},
    {"vsix", TYPE_PACKAGE}, {"vsmacros", TYPE_OOXML_MACRO}, {"vss", TYPE_OLE2},
    {"vssm", TYPE_OOXML_MACRO}, {"vssx", TYPE_OOXML}, {"vst", TYPE_OLE2},
    {"vstm", TYPE_OOXML_MACRO}, {"vstx", TYPE_OOXML}, {"vsw", TYPE_OLE2}, {"vsx", TYPE_OOXML_MACRO},
    {"vtt", TYPE_TEXT}, {"vtx", TYPE_OOXML_MACRO}, {"vxd", TYPE_PE}, {"war", TYPE_JAR},
    {"wasm", TYPE_WASM}, {"wav", TYPE_WAVE}, {"wax", TYPE_SETTINGS}, {"weba", TYPE_WEBM},
    {"webloc", TYPE_SHORTCUT}, {"webm", TYPE_WEBM}, {"webmanifest", TYPE_JSON}, {"webp", TYPE_WEBP},
    {"website", TYPE_SHORTCUT}, {"wflow", TYPE_PACKAGE}, {"whl", TYPE_PACKAGE},
    {"wim", TYPE_DISK_IMAGE}, {"wiz", TYPE_OLE2}, {"wmx", TYPE_SETTINGS}, {"woff", TYPE_WOFF},
    {"woff2", TYPE_WOFF2}, {"workflow", TYPE_PACKAGE}, {"wrc", TYPE_OTHER_ARCHIVE},
    {"ws", TYPE_SCRIPT}, {"wsb", TYPE_SETTINGS}, {"wsc", TYPE_SCRIPT}, {"wsf", TYPE_SCRIPT},
    {"wsh", TYPE_SCRIPT}, {"wvx", TYPE_SETTINGS}, {"xapk", TYPE_APK}, {"xar", TYPE_XAR},
    {"xbap", TYPE_PACKAGE}, {"xht", TYPE_HTML}, {"xhtml", TYPE_HTML}, {"xip", TYPE_XAR},
    {"xla", TYPE_OLE2}, {"xlam", TYPE_OOXML_MACRO}, {"xlc", TYPE_OLE2}, {"xll", TYPE_PE},
    {"xlm", TYPE_OLE2}, {"xls", TYPE_OLE2}, {"xlsb", TYPE_OOXML_MACRO}, {"xlsm", TYPE_OOXML_MACRO},
    {"xlsx", TYPE_XLSX}, {"xlt", TYPE_OLE2}, {"xltm", TYPE_OOXML_MACRO}, {"xltx", TYPE_XLSX},
    {"xlw", TYPE_OLE2}, {"xml", TYPE_XML}, {"xnk", TYPE_SHORTCUT}, {"xpi", TYPE_XPI},
    {"xps", TYPE_OOXML}, {"xrm-ms", TYPE_SETTINGS}, {"xsd", TYPE_XML}, {"xsl", TYPE_XML},
    {"xslt", TYPE_XML}, {"xxe", TYPE_ENCODED}, {"xz", TYPE_XZ}, {"yz1", TYPE_OTHER_ARCHIVE},
    {"z", TYPE_COMPRESS}, {"zip", TYPE_ZIP}, {"zipx", TYPE_ZIP}, {"zpaq", TYPE_OTHER_ARCHIVE},
    {"zsh", TYPE_SCRIPT}, {"zst", TYPE_ZSTD}, {"zstd", TYPE_ZSTD},
};

static const struct named_type media_types[] = {
    {"application/appinstaller", TYPE_APPX}, {"application/appx", TYPE_APPX},
    {"application/appxbundle", TYPE_APPX}, {"application/arj", TYPE_ARJ},
    {"application/atom+xml", TYPE_XML}, {"application/bat", TYPE_SCRIPT},
    {"application/bzip2", TYPE_BZIP2}, {"application/csv", TYPE_CSV},
    {"application/dash+xml", TYPE_XML}, {"application/dicom", TYPE_DICOM},
    {"application/dos-exe", TYPE_PE}, {"application/ecmascript", TYPE_SCRIPT},
    {"application/epub+zip", TYPE_EPUB}, {"application/exe", TYPE_PE},
    {"application/font-sfnt", TYPE_TTF}, {"application/font-woff", TYPE_WOFF},
    {"application/font-woff2", TYPE_WOFF2}, {"application/futuresplash", TYPE_SWF},
    {"application/graphql-response+json", TYPE_JSON}, {"application/gzip", TYPE_GZIP},
    {"application/hta", TYPE_HTA}, {"application/inf", TYPE_SETTINGS},
    {"application/internet-property-stream", TYPE_SETTINGS},
    {"application/internet-shortcut", TYPE_SHORTCUT}, {"application/java-archive", TYPE_JAR},
    {"application/java-vm", TYPE_JAVA_CLASS}, {"application/javascript", TYPE_SCRIPT},
    {"application/json", TYPE_JSON}, {"application/json-seq", TYPE_JSON},
    {"application/ld+json", TYPE_JSON}, {"application/lha", TYPE_LZH},
    {"application/lzh", TYPE_LZH}, {"application/lzip", TYPE_LZIP},
    {"application/mac-binhex40", TYPE_ENCODED}, {"application/manifest+json", TYPE_JSON},
    {"application/mbox", TYPE_MAIL}, {"application/mdb", TYPE_ACCESS},
    {"application/mp4", TYPE_MP4}, {"application/msaccess", TYPE_ACCESS},
    {"application/msexcel", TYPE_OLE2}, {"application/mshelp", TYPE_HELP},
    {"application/msix", TYPE_APPX}, {"application/msixbundle", TYPE_APPX},
    {"application/msonenote", TYPE_ONENOTE}, {"application/mspowerpoint", TYPE_OLE2},
    {"application/msword", TYPE_OLE2}, {"application/ogg", TYPE_OGG},
    {"application/onenote", TYPE_ONENOTE}, {"application/oxps", TYPE_OOXML},
    {"application/pdf", TYPE_PDF}, {"application/pkix-attr-cert", TYPE_CERTIFICATE},
    {"application/postscript", TYPE_POSTSCRIPT}, {"application/prg", TYPE_SETTINGS},
    {"application/problem+json", TYPE_JSON}, {"application/rss+xml", TYPE_XML},
    {"application/rtf", TYPE_RTF}, {"application/soap+xml", TYPE_XML},
    {"application/vnd.adobe.air-application-installer-package+zip", TYPE_PACKAGE},
    {"application/vnd.adobe.flash.movie", TYPE_SWF}, {"application/vnd.android.dex", TYPE_DEX},
    {"application/vnd.android.package-archive", TYPE_APK}, {"application/vnd.appimage", TYPE_ELF},
    {"application/vnd.apple.installer+xml", TYPE_XAR}, {"application/vnd.apple.mpegurl", TYPE_TEXT},
    {"application/vnd.debian.binary-package", TYPE_DEB}, {"application/vnd.flatpak", TYPE_PACKAGE},
    {"application/vnd.microsoft.portable-executable", TYPE_PE},
    {"application/vnd.ms-access", TYPE_ACCESS}, {"application/vnd.ms-application", TYPE_PACKAGE},
    {"application/vnd.ms-appx", TYPE_APPX}, {"application/vnd.ms-cab-compressed", TYPE_CAB},
    {"application/vnd.ms-excel", TYPE_OLE2},
    {"application/vnd.ms-excel.addin.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-excel.sheet.binary.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-excel.sheet.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-excel.template.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-fontobject", TYPE_EOT}, {"application/vnd.ms-htmlhelp", TYPE_HELP},
    {"application/vnd.ms-msix", TYPE_APPX}, {"application/vnd.ms-opentype", TYPE_OTF},
    {"application/vnd.ms-outlook", TYPE_MAIL}, {"application/vnd.ms-outlook-pst", TYPE_MAIL},
    {"application/vnd.ms-powerpoint", TYPE_OLE2},
    {"application/vnd.ms-powerpoint.addin.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-powerpoint.presentation.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-powerpoint.slide.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-powerpoint.slideshow.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-powerpoint.template.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-project", TYPE_OLE2}, {"application/vnd.ms-visio.drawing", TYPE_OOXML},
    {"application/vnd.ms-visio.drawing.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-word", TYPE_OLE2},
    {"application/vnd.ms-word.document.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-word.template.macroenabled.12", TYPE_OOXML_MACRO},
    {"application/vnd.ms-xpsdocument", TYPE_OOXML}, {"application/vnd.msaccess", TYPE_ACCESS},
    {"application/vnd.oasis.opendocument.base", TYPE_ODF_MACRO},
    {"application/vnd.oasis.opendocument.chart", TYPE_ODF},
    {"application/vnd.oasis.opendocument.database", TYPE_ODF_MACRO},
    {"application/vnd.oasis.opendocument.formula", TYPE_ODF},
    {"application/vnd.oasis.opendocument.graphics", TYPE_ODF},
    {"application/vnd.oasis.opendocument.presentation", TYPE_ODF},
    {"application/vnd.oasis.opendocument.spreadsheet", TYPE_ODF},
    {"application/vnd.oasis.opendocument.text", TYPE_ODF},
    {"application/vnd.openofficeorg.extension", TYPE_PACKAGE},
    {"application/vnd.openxmlformats-officedocument.presentationml.presentation", TYPE_PPTX},
    {"application/vnd.openxmlformats-officedocument.presentationml.slideshow", TYPE_PPTX},
    {"application/vnd.openxmlformats-officedocument.presentationml.template", TYPE_PPTX},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", TYPE_XLSX},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.template", TYPE_XLSX},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", TYPE_DOCX},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.template", TYPE_DOCX},
    {"application/vnd.rar", TYPE_RAR}, {"application/vnd.snap", TYPE_PACKAGE},
    {"application/vnd.squashfs", TYPE_SQUASHFS}, {"application/vnd.visio", TYPE_OLE2},
    {"application/wasm", TYPE_WASM}, {"application/winhelp", TYPE_HELP},
    {"application/winhlp", TYPE_HELP}, {"application/x-7z-compressed", TYPE_SEVEN_ZIP},
    {"application/x-ace", TYPE_ACE}, {"application/x-ace-compressed", TYPE_ACE},
    {"application/x-apple-aspen-config", TYPE_MOBILECONFIG},
    {"application/x-apple-aspen-mobileprovision", TYPE_MOBILECONFIG},
    {"application/x-apple-diskimage", TYPE_DMG}, {"application/x-applescript", TYPE_SCRIPT},
    {"application/x-archive", TYPE_AR}, {"application/x-arj", TYPE_ARJ},
    {"application/x-bat", TYPE_SCRIPT}, {"application/x-binhex40", TYPE_ENCODED},
    {"application/x-bzip", TYPE_BZIP2}, {"application/x-bzip2", TYPE_BZIP2},
    {"application/x-cab", TYPE_CAB}, {"application/x-cab-compressed", TYPE_CAB},
    {"application/x-cd-image", TYPE_DISK_IMAGE}, {"application/x-chm", TYPE_HELP},
    {"application/x-chrome-extension", TYPE_CRX}, {"application/x-cmd", TYPE_SCRIPT},
    {"application/x-com", TYPE_DOS}, {"application/x-compress", TYPE_COMPRESS},
    {"application/x-compressed", TYPE_COMPRESS}, {"application/x-compressed-tar", TYPE_TAR},
    {"application/x-cpio", TYPE_CPIO}, {"application/x-csh", TYPE_SCRIPT},
    {"application/x-deb", TYPE_DEB}, {"application/x-debian-package", TYPE_DEB},
    {"application/x-desktop", TYPE_SHORTCUT}, {"application/x-disk-image", TYPE_DISK_IMAGE},
    {"application/x-dll", TYPE_PE}, {"application/x-dosexec", TYPE_PE},
    {"application/x-ecmascript", TYPE_SCRIPT}, {"application/x-elf", TYPE_ELF},
    {"application/x-excel", TYPE_OLE2}, {"application/x-exe", TYPE_PE},
    {"application/x-executable", TYPE_EXECUTABLE}, {"application/x-font-otf", TYPE_OTF},
    {"application/x-font-ttf", TYPE_TTF}, {"application/x-font-woff", TYPE_WOFF},
    {"application/x-font-woff2", TYPE_WOFF2}, {"application/x-freearc", TYPE_OTHER_ARCHIVE},
    {"application/x-gadget", TYPE_PACKAGE}, {"application/x-gca-compressed", TYPE_OTHER_ARCHIVE},
    {"application/x-gtar", TYPE_GZIP}, {"application/x-gzip", TYPE_GZIP},
    {"application/x-ica", TYPE_SETTINGS}, {"application/x-internet-signup", TYPE_SETTINGS},
    {"application/x-ios-app", TYPE_IPA}, {"application/x-iso-image", TYPE_ISO},
    {"application/x-iso9660-appimage", TYPE_ELF}, {"application/x-iso9660-image", TYPE_ISO},
    {"application/x-jar", TYPE_JAR}, {"application/x-java-archive", TYPE_JAR},
    {"application/x-java-class", TYPE_JAVA_CLASS}, {"application/x-java-jnlp-file", TYPE_JAR},
    {"application/x-java-vm", TYPE_JAVA_CLASS}, {"application/x-javascript", TYPE_SCRIPT},
    {"application/x-js-taro", TYPE_OLE2}, {"application/x-lha", TYPE_LZH},
    {"application/x-lz4", TYPE_LZ4}, {"application/x-lzh", TYPE_LZH},
    {"application/x-lzh-compressed", TYPE_LZH}, {"application/x-lzip", TYPE_LZIP},
    {"application/x-lzma", TYPE_LZMA}, {"application/x-mach-binary", TYPE_MACH_O},
    {"application/x-mach-o", TYPE_MACH_O}, {"application/x-mdb", TYPE_ACCESS},
    {"application/x-mimearchive", TYPE_MAIL}, {"application/x-mpegurl", TYPE_TEXT},
    {"application/x-ms-application", TYPE_PACKAGE}, {"application/x-ms-dos-executable", TYPE_PE},
    {"application/x-ms-installer", TYPE_MSI}, {"application/x-ms-regedit", TYPE_SETTINGS},
    {"application/x-ms-settingcontent", TYPE_SETTINGS},
    {"application/x-ms-settings", TYPE_SETTINGS}, {"application/x-ms-shortcut", TYPE_SHORTCUT},
    {"application/x-ms-wim", TYPE_DISK_IMAGE}, {"application/x-ms-xbap", TYPE_PACKAGE},
    {"application/x-msaccess", TYPE_ACCESS}, {"application/x-msdos-batch", TYPE_SCRIPT},
    {"application/x-msdos-program", TYPE_DOS}, {"application/x-msdownload", TYPE_PE},
    {"application/x-msexcel", TYPE_OLE2}, {"application/x-msi", TYPE_MSI},
    {"application/x-mspowerpoint", TYPE_OLE2}, {"application/x-mspublisher", TYPE_OLE2},
    {"application/x-mswebsite", TYPE_SHORTCUT}, {"application/x-mswinurl", TYPE_SHORTCUT},
    {"application/x-msword", TYPE_OLE2}, {"application/x-ndjson", TYPE_JSON},
    {"application/x-newton-compatible-pkg", TYPE_XAR}, {"application/x-ole-storage", TYPE_OLE2},
    {"application/x-onenote", TYPE_ONENOTE}, {"application/x-openvpn-profile", TYPE_SETTINGS},
    {"application/x-package", TYPE_PACKAGE}, {"application/x-pdf", TYPE_PDF},
    {"application/x-perl", TYPE_SCRIPT}, {"application/x-php", TYPE_SCRIPT},
    {"application/x-pie-executable", TYPE_ELF}, {"application/x-pif", TYPE_DOS},
    {"application/x-pkcs12", TYPE_CERTIFICATE},
    {"application/x-pkcs7-certificates", TYPE_CERTIFICATE},
    {"application/x-powershell", TYPE_SCRIPT}, {"application/x-python", TYPE_SCRIPT},
    {"application/x-python-code", TYPE_SCRIPT}, {"application/x-qemu-disk", TYPE_DISK_IMAGE},
    {"application/x-rar", TYPE_RAR}, {"application/x-rar-compressed", TYPE_RAR},
    {"application/x-raw-disk-image", TYPE_DISK_IMAGE}, {"application/x-rdp", TYPE_SHORTCUT},
    {"application/x-redhat-package-manager", TYPE_RPM}, {"application/x-rpm", TYPE_RPM},
    {"application/x-ruby", TYPE_SCRIPT}, {"application/x-script", TYPE_SCRIPT},
    {"application/x-settings", TYPE_SETTINGS}, {"application/x-setupscript", TYPE_SETTINGS},
    {"application/x-sh", TYPE_SCRIPT}, {"application/x-shar", TYPE_SCRIPT},
    {"application/x-sharedlib", TYPE_ELF}, {"application/x-shellscript", TYPE_SCRIPT},
    {"application/x-shockwave-flash", TYPE_SWF}, {"application/x-squashfs", TYPE_SQUASHFS},
    {"application/x-stuffit", TYPE_OTHER_ARCHIVE}, {"application/x-subrip", TYPE_TEXT},
    {"application/x-tar", TYPE_TAR}, {"application/x-tcl", TYPE_SCRIPT},
    {"application/x-tgz", TYPE_GZIP}, {"application/x-udf-image", TYPE_DISK_IMAGE},
    {"application/x-url", TYPE_SHORTCUT}, {"application/x-ustar", TYPE_TAR},
    {"application/x-uuencode", TYPE_ENCODED}, {"application/x-vbs", TYPE_SCRIPT},
    {"application/x-vbscript", TYPE_SCRIPT}, {"application/x-vhd", TYPE_VHD},
    {"application/x-vhd-disk", TYPE_VHD}, {"application/x-virtualbox-vdi", TYPE_DISK_IMAGE},
    {"application/x-virtualbox-vhd", TYPE_VHD}, {"application/x-virtualbox-vhdx", TYPE_VHD},
    {"application/x-visio", TYPE_OLE2}, {"application/x-vmdk", TYPE_DISK_IMAGE},
    {"application/x-webloc", TYPE_SHORTCUT}, {"application/x-windows-installer", TYPE_MSI},
    {"application/x-winexe", TYPE_PE}, {"application/x-winhelp", TYPE_HELP},
    {"application/x-wsh", TYPE_SCRIPT}, {"application/x-x509-ca-cert", TYPE_CERTIFICATE},
    {"application/x-x509-email-cert", TYPE_CERTIFICATE},
    {"application/x-x509-server-cert", TYPE_CERTIFICATE},
    {"application/x-x509-user-cert", TYPE_CERTIFICATE}, {"application/x-xar", TYPE_XAR},
    {"application/x-xpinstall", TYPE_XPI}, {"application/x-xz", TYPE_XZ},
    {"application/x-zip", TYPE_ZIP}, {"application/x-zip-compressed", TYPE_ZIP},
    {"application/x-zstd", TYPE_ZSTD}, {"application/xhtml+xml", TYPE_HTML},
    {"application/xml", TYPE_XML}, {"application/xslt+xml", TYPE_XML},
    {"application/zip", TYPE_ZIP}, {"application/zstd", TYPE_ZSTD}, {"audio/3gpp", TYPE_MP4},
    {"audio/aac", TYPE_AAC}, {"audio/aacp", TYPE_AAC}, {"audio/aiff", TYPE_AIFF},
    {"audio/basic", TYPE_AU}, {"audio/flac", TYPE_FLAC}, {"audio/midi", TYPE_MIDI},
    {"audio/mp3", TYPE_MP3}, {"audio/mp4", TYPE_MP4}, {"audio/mpeg", TYPE_MP3},
    {"audio/mpegurl", TYPE_TEXT}, {"audio/ogg", TYPE_OGG}, {"audio/opus", TYPE_OGG},
    {"audio/vnd.wave", TYPE_WAVE}, {"audio/wav", TYPE_WAVE}, {"audio/wave", TYPE_WAVE},
    {"audio/webm", TYPE_WEBM}, {"audio/x-aiff", TYPE_AIFF}, {"audio/x-flac", TYPE_FLAC},
    {"audio/x-m4a", TYPE_MP4}, {"audio/x-mpegurl", TYPE_TEXT}, {"audio/x-wav", TYPE_WAVE},
    {"font/collection", TYPE_TTC}, {"font/otf", TYPE_OTF}, {"font/sfnt", TYPE_TTF},
    {"font/ttf", TYPE_TTF}, {"font/woff", TYPE_WOFF}, {"font/woff2", TYPE_WOFF2},
    {"image/apng", TYPE_PNG}, {"image/avif", TYPE_AVIF}, {"image/bmp", TYPE_BMP},
    {"image/gif", TYPE_GIF}, {"image/heic", TYPE_HEIC}, {"image/heif", TYPE_HEIC},
    {"image/jpeg", TYPE_JPEG}, {"image/jpg", TYPE_JPEG}, {"image/jxl", TYPE_JXL},
    {"image/pjpeg", TYPE_JPEG}, {"image/png", TYPE_PNG}, {"image/svg+xml", TYPE_SVG},
    {"image/tiff", TYPE_TIFF}, {"image/vnd.microsoft.icon", TYPE_ICON}, {"image/webp", TYPE_WEBP},
    {"image/x-bmp", TYPE_BMP}, {"image/x-icon", TYPE_ICON}, {"image/x-ms-bmp", TYPE_BMP},
    {"image/x-png", TYPE_PNG}, {"message/rfc822", TYPE_MAIL}, {"text/calendar", TYPE_CALENDAR},
    {"text/css", TYPE_CSS}, {"text/csv", TYPE_CSV}, {"text/ecmascript", TYPE_SCRIPT},
    {"text/event-stream", TYPE_TEXT}, {"text/html", TYPE_HTML}, {"text/javascript", TYPE_SCRIPT},
    {"text/javascript1.0", TYPE_SCRIPT}, {"text/javascript1.1", TYPE_SCRIPT},
    {"text/javascript1.2", TYPE_SCRIPT}, {"text/javascript1.3", TYPE_SCRIPT},
    {"text/javascript1.4", TYPE_SCRIPT}, {"text/javascript1.5", TYPE_SCRIPT},
    {"text/jscript", TYPE_SCRIPT}, {"text/json", TYPE_JSON}, {"text/livescript", TYPE_SCRIPT},
    {"text/markdown", TYPE_TEXT}, {"text/pdf", TYPE_PDF}, {"text/plain", TYPE_TEXT},
    {"text/rtf", TYPE_RTF}, {"text/scriptlet", TYPE_SCRIPT},
    {"text/tab-separated-values", TYPE_CSV}, {"text/vbs", TYPE_SCRIPT},
    {"text/vbscript", TYPE_SCRIPT}, {"text/vcard", TYPE_CONTACT}, {"text/vtt", TYPE_TEXT},
    {"text/x-component", TYPE_SCRIPT}, {"text/x-csh", TYPE_SCRIPT},
    {"text/x-ecmascript", TYPE_SCRIPT}, {"text/x-javascript", TYPE_SCRIPT},
    {"text/x-ms-regedit", TYPE_SETTINGS}, {"text/x-msdos-batch", TYPE_SCRIPT},
    {"text/x-perl", TYPE_SCRIPT}, {"text/x-php", TYPE_SCRIPT}, {"text/x-powershell", TYPE_SCRIPT},
    {"text/x-python", TYPE_SCRIPT}, {"text/x-registry", TYPE_SETTINGS},
    {"text/x-ruby", TYPE_SCRIPT}, {"text/x-sh", TYPE_SCRIPT}, {"text/x-shellscript", TYPE_SCRIPT},
    {"text/x-uuencode", TYPE_ENCODED}, {"text/x-vcard", TYPE_CONTACT}, {"text/xml", TYPE_XML},
    {"text/xsl", TYPE_XML}, {"video/3gpp", TYPE_MP4}, {"video/avi", TYPE_AVI},
    {"video/iso.segment", TYPE_MP4}, {"video/matroska", TYPE_MATROSKA},
    {"video/mp2t", TYPE_MPEG_TS}, {"video/mp4", TYPE_MP4}, {"video/mpeg", TYPE_MPEG},
    {"video/ogg", TYPE_OGG}, {"video/quicktime", TYPE_MP4}, {"video/webm", TYPE_WEBM},
    {"video/x-flv", TYPE_FLV}, {"video/x-matroska", TYPE_MATROSKA}, {"video/x-msvideo", TYPE_AVI},
    {"wwwserver/redirection", TYPE_SHORTCUT}, {"x-internet-signup", TYPE_SETTINGS},
};
/* clang-format on */

static int compare_names(const void *key, const void *row)
{
    return strcmp(key, ((const struct named_type *)row)->name);
}

static bool find_type(struct span name, const struct named_type *rows, size_t count,
                      struct file_facts *facts)
{
    const struct named_type *row;
    char key[NAME_ROOM];

    file_type_describe(TYPE_NONE, facts);
    if (name.size == 0 || name.size >= sizeof(key) || memchr(name.data, 0, name.size) != NULL)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        key[i] = ascii_lower(c);
    }
    key[name.size] = '\0';
    row = bsearch(key, rows, count, sizeof(*rows), compare_names);
    if (row == NULL)
        return false;
    file_type_describe(row->type, facts);
    return true;
}

/* "{8-4-4-4-12}": Windows shows such a file without it, and opens it with the class of that number.
 */
static bool is_class_number(struct span extension)
{
    static const char form[] = "{________-____-____-____-____________}";

    for (size_t i = 0; i < extension.size && extension.size == sizeof(form) - 1; i++)
        if (form[i] == '_' ? ascii_digit(extension.data[i], 16) < 0 : extension.data[i] != form[i])
            return false;
    return extension.size == sizeof(form) - 1;
}

bool sniff_extension(struct span extension, struct file_facts *facts)
{
    if (is_class_number(extension)) {
        file_type_describe(TYPE_SHORTCUT, facts);
        return true;
    }
    return find_type(extension, extensions, sizeof(extensions) / sizeof(*extensions), facts);
}

/* The media type without its parameters. */
static struct span essence_of(struct span media_type)
{
    return span_trim(span_first(media_type, span_index(media_type, ';')));
}

bool sniff_declared(struct span media_type, struct file_facts *facts)
{
    return find_type(essence_of(media_type), media_types,
                     sizeof(media_types) / sizeof(*media_types), facts);
}

/* Families of media types, by how they begin or end, that are shown, and those that are not. */
bool sniff_is_rendered(struct span media_type)
{
    static const char *const starts[] = {"text/", "image/", "audio/", "video/"};
    static const char *const ends[] = {"+xml", "+json", "/json", "/xml"};
    static const char *const others[] = {"application/pdf", "application/javascript",
                                         "application/ecmascript", "application/x-javascript",
                                         "application/ogg"};
    static const char *const saved[] = {"text/calendar",  "text/csv",
                                        "text/x-csv",     "text/vcard",
                                        "text/x-vcard",   "text/rtf",
                                        "image/tiff",     "image/heic",
                                        "image/heif",     "image/jxl",
                                        "image/x-eps",    "text/x-sh",
                                        "text/scriptlet", "image/vnd.adobe.photoshop",
                                        "image/vnd.dwg",  "image/vnd.dxf"};
    struct span essence = essence_of(media_type);

    if (span_index(essence, ',') < essence.size)
        return false; /* two types in one field: browsers differ in which they take */
    for (size_t i = 0; i < sizeof(saved) / sizeof(*saved); i++)
        if (span_equal_nocase(essence, span_of(saved[i])))
            return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (span_equal_nocase(essence, span_of(others[i])))
            return true;
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
        if (span_starts_nocase(essence, span_of(starts[i])))
            return true;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        struct span end = span_of(ends[i]);
        if (essence.size > end.size &&
            span_equal_nocase(span_from(essence, essence.size - end.size), end))
            return true;
    }
    return false;
}
