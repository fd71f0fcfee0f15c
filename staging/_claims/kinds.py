"""Media types by name, with their kinds and extensions.

The tables are fixed. `mimetypes` reads files of the machine, and answers differently on each.
"""

from typing import Final

from staging._models import Kind

OCTETS: Final = "application/octet-stream"
PLAIN: Final = "text/plain"
HTML: Final = "text/html"
SVG: Final = "image/svg+xml"
XML: Final = "text/xml"
JSON: Final = "application/json"
PDF: Final = "application/pdf"
ZIP: Final = "application/zip"
GZIP: Final = "application/gzip"
MP3: Final = "audio/mpeg"
OLE: Final = "application/x-ole-storage"
ENCRYPTED: Final = "application/encrypted"
"""An Office document behind a password, by the name that ``file`` gives it; none is registered."""

_OPC = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_SUN = "application/vnd.sun.xml."

DOCX: Final = _OPC + "wordprocessingml.document"
XLSX: Final = _OPC + "spreadsheetml.sheet"
PPTX: Final = _OPC + "presentationml.presentation"
XLSB: Final = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
DOC: Final = "application/msword"
XLS: Final = "application/vnd.ms-excel"
PPT: Final = "application/vnd.ms-powerpoint"
MSG: Final = "application/vnd.ms-outlook"
EPUB: Final = "application/epub+zip"

# Every type that has an extension, with the extensions that stand for it: the usual one first.
_USUAL = {
    # pictures
    "image/png": "png apng", "image/jpeg": "jpg jpeg jfif jpe", "image/gif": "gif", "image/webp": "webp",
    "image/bmp": "bmp dib", "image/tiff": "tiff tif", "image/x-icon": "ico cur", "image/heic": "heic hif",
    "image/heif": "heif", "image/avif": "avif avifs", SVG: "svg", "image/jxl": "jxl", "image/jls": "jls",
    "image/jp2": "jp2 jpg2", "image/jpx": "jpx jpf", "image/jpm": "jpm", "image/j2c": "j2k j2c jpc",
    "image/jph": "jph jhc", "image/jphc": "jphc", "image/jxr": "jxr wdp hdp", "image/jxsc": "jxs",
    "image/vnd.adobe.photoshop": "psd psb", "image/x-xcf": "xcf", "image/vnd.djvu": "djvu djv",
    "image/x-adobe-dng": "dng", "image/x-canon-cr2": "cr2", "image/x-canon-cr3": "cr3", "image/x-canon-crw": "crw",
    "image/x-nikon-nef": "nef nrw", "image/x-sony-arw": "arw srf sr2", "image/x-olympus-orf": "orf",
    "image/x-panasonic-rw2": "rw2", "image/x-fuji-raf": "raf", "image/x-pentax-pef": "pef",
    "image/x-samsung-srw": "srw", "image/x-sigma-x3f": "x3f", "image/x-minolta-mrw": "mrw",
    "image/x-exr": "exr", "image/vnd.radiance": "hdr", "image/qoi": "qoi", "image/x-dds": "dds", "image/ktx": "ktx",
    "image/ktx2": "ktx2", "image/wmf": "wmf", "image/emf": "emf", "image/x-pcx": "pcx", "image/x-tga": "tga",
    "image/x-portable-bitmap": "pbm", "image/x-portable-graymap": "pgm", "image/x-portable-pixmap": "ppm",
    "image/avci": "avci", "image/hej2k": "hej2",
    "image/x-portable-anymap": "pnm pam", "image/x-icns": "icns", "image/vnd.dwg": "dwg", "image/x-jng": "jng",
    "image/x-dpx": "dpx",
    "application/dicom": "dcm", "application/fits": "fits fts",
    # films
    "video/mp4": "mp4 m4v f4v mp4v", "video/quicktime": "mov qt", "video/webm": "webm", "video/matroska": "mkv mk3d",
    "video/x-msvideo": "avi", "video/3gpp": "3gp 3gpp", "video/3gpp2": "3g2 3gp2", "video/mpeg": "mpg mpeg mpe vob m2v",
    "video/mp2t": "mts m2ts m2t", "video/x-ms-wmv": "wmv", "video/x-ms-asf": "asf", "video/x-flv": "flv",
    "video/ogg": "ogv ogm", "video/mj2": "mj2 mjp2", "video/iso.segment": "m4s", "video/x-mng": "mng",
    "application/mxf": "mxf",
    "application/vnd.rn-realmedia": "rm rmvb", "application/vnd.adobe.flash.movie": "swf",
    # sound
    MP3: "mp3 mp2 mpga", "audio/wav": "wav wave", "audio/ogg": "ogg oga opus spx", "application/ogg": "ogx",
    "audio/flac": "flac", "audio/mp4": "m4a m4b m4p m4r f4a", "audio/aac": "aac adts", "audio/aiff": "aiff aif aifc",
    "audio/midi": "mid midi kar rmi", "audio/amr": "amr", "audio/amr-wb": "awb", "audio/x-ms-wma": "wma",
    "audio/webm": "weba", "audio/matroska": "mka", "audio/3gpp": "3ga", "audio/3gpp2": "", "audio/basic": "snd",
    "audio/x-caf": "caf", "audio/x-ape": "ape", "audio/x-wavpack": "wv", "audio/x-musepack": "mpc",
    "audio/x-tta": "tta", "audio/x-dsf": "dsf", "audio/x-dff": "dff", "audio/ac3": "ac3", "audio/vnd.dts": "dts",
    "audio/silk": "silk", "audio/x-pn-realaudio": "ra", "audio/vnd.audible.aax": "aax", "audio/xm": "xm",
    "audio/x-voc": "voc", "audio/x-w64": "w64",
    # documents
    PDF: "pdf", "application/postscript": "ps eps ai", "application/rtf": "rtf", EPUB: "epub",
    DOCX: "docx", _OPC + "wordprocessingml.template": "dotx",
    "application/vnd.ms-word.document.macroEnabled.12": "docm",
    "application/vnd.ms-word.template.macroEnabled.12": "dotm",
    XLSX: "xlsx", _OPC + "spreadsheetml.template": "xltx", "application/vnd.ms-excel.sheet.macroEnabled.12": "xlsm",
    "application/vnd.ms-excel.template.macroEnabled.12": "xltm",
    "application/vnd.ms-excel.addin.macroEnabled.12": "xlam",
    XLSB: "xlsb",
    PPTX: "pptx", _OPC + "presentationml.template": "potx", _OPC + "presentationml.slideshow": "ppsx",
    "application/vnd.ms-powerpoint.presentation.macroEnabled.12": "pptm",
    "application/vnd.ms-powerpoint.template.macroEnabled.12": "potm",
    "application/vnd.ms-powerpoint.slideshow.macroEnabled.12": "ppsm",
    "application/vnd.ms-powerpoint.addin.macroEnabled.12": "ppam",
    "application/vnd.ms-visio.drawing": "vsdx", "application/vnd.ms-visio.drawing.macroEnabled.12": "vsdm",
    "application/vnd.ms-xpsdocument": "xps", "application/oxps": "oxps", "model/3mf": "3mf",
    DOC: "doc", XLS: "xls xlt xla", PPT: "ppt pps", MSG: "msg", "application/vnd.visio": "vsd",
    "application/vnd.ms-publisher": "", "application/x-hwp": "hwp", "application/hwp+zip": "hwpx",
    _ODF + "text": "odt", _ODF + "text-template": "ott", _ODF + "text-master": "odm", _ODF + "text-web": "oth",
    _ODF + "spreadsheet": "ods", _ODF + "spreadsheet-template": "ots",
    _ODF + "presentation": "odp", _ODF + "presentation-template": "otp",
    _ODF + "graphics": "odg", _ODF + "graphics-template": "otg", _ODF + "chart": "odc", _ODF + "formula": "odf",
    _ODF + "image": "odi", _ODF + "base": "odb", _ODF + "database": "", _ODF + "chart-template": "otc",
    _ODF + "formula-template": "", _ODF + "image-template": "oti", _ODF + "text-master-template": "otm",
    _SUN + "writer": "sxw", _SUN + "writer.template": "stw", _SUN + "calc": "sxc", _SUN + "calc.template": "stc",
    _SUN + "impress": "sxi", _SUN + "impress.template": "sti", _SUN + "draw": "sxd", _SUN + "draw.template": "std",
    _SUN + "math": "sxm",
    "application/vnd.adobe.indesign-idml-package": "idml", "application/x-indesign": "indd indt",
    "application/x-krita": "kra", "image/openraster": "ora", "application/vnd.recordare.musicxml": "mxl",
    "application/vnd.etsi.asic-e+zip": "asice", "application/vnd.etsi.asic-s+zip": "asics",
    "application/vnd.wordperfect": "wpd", "application/vnd.ms-htmlhelp": "chm", "application/onenote": "one",
    "application/x-mobipocket-ebook": "mobi azw azw3", "application/vnd.ms-tnef": "tnef",
    # archives and disks
    ZIP: "zip cbz", GZIP: "gz tgz", "application/x-7z-compressed": "7z cb7", "application/vnd.rar": "rar cbr",
    "application/x-bzip2": "bz2 tbz tbz2", "application/x-xz": "xz txz", "application/zstd": "zst tzst",
    "application/x-lz4": "lz4", "application/x-lzip": "lz", "application/x-lzma": "lzma",
    "application/x-compress": "z taz", "application/x-lzop": "lzo", "application/x-tar": "tar cbt",
    "application/vnd.ms-cab-compressed": "cab", "application/x-arj": "arj", "application/x-lzh-compressed": "lzh lha",
    "application/x-ace-compressed": "ace", "application/x-cpio": "cpio", "application/x-archive": "a",
    "application/x-xar": "xar", "application/x-stuffit": "sit", "application/vnd.squashfs": "sfs squashfs",
    "application/java-archive": "jar war ear", "application/vnd.android.package-archive": "apk",
    "application/x-xpinstall": "xpi", "application/x-chrome-extension": "crx",
    "application/vnd.google-earth.kmz": "kmz", "model/vnd.usdz+zip": "usdz",
    "application/vnd.debian.binary-package": "deb udeb", "application/x-rpm": "rpm", "application/x-msi": "msi",
    "application/x-ms-wim": "wim", "application/x-apple-diskimage": "dmg", "application/x-iso9660-image": "iso",
    "application/x-virtualbox-vhd": "vhd", "application/x-virtualbox-vhdx": "vhdx",
    "application/x-qemu-disk": "qcow2 qcow",
    # programs and data
    "application/vnd.microsoft.portable-executable": "exe dll ocx", "application/x-dosexec": "",
    "application/x-elf": "elf", "application/x-mach-binary": "dylib", "application/wasm": "wasm",
    "application/java-vm": "class", "application/vnd.android.dex": "dex", "application/x-bytecode.python": "pyc pyo",
    "application/x-ms-shortcut": "lnk", "application/vnd.sqlite3": "sqlite sqlite3 db3",
    "application/vnd.apache.parquet": "parquet", "application/vnd.apache.arrow.file": "arrow feather",
    "application/vnd.apache.avro": "avro", "application/x-hdf5": "h5 hdf5", "application/x-netcdf": "",
    "application/x-npy": "npy", "application/x-matlab-data": "mat",
    "application/x-python-pickle": "pickle pkl", "application/x-msaccess": "mdb accdb",
    "application/x-bittorrent": "torrent", "application/vnd.tcpdump.pcap": "pcap cap", "application/x-pcapng": "pcapng",
    "application/x-bplist": "plist", "application/x-gettext-translation": "mo gmo", "application/x-ms-evtx": "evtx",
    "application/vnd.iccprofile": "icc icm", "application/vnd.shp": "shp", "application/x-nes-rom": "nes",
    "font/woff": "woff", "font/woff2": "woff2", "font/ttf": "ttf", "font/otf": "otf", "font/collection": "ttc",
    "application/vnd.ms-fontobject": "eot", "application/x-font-type1": "pfb pfa",
    "model/gltf-binary": "glb", "model/stl": "stl", "application/x-blender": "blend",
    "application/vnd.autodesk.fbx": "fbx",
    # text
    HTML: "html htm xhtml xht shtml", XML: "xml xsl xslt xsd rss atom gpx kml",
    JSON: "json map ipynb geojson webmanifest",
    PLAIN: "txt text log ini cfg conf asc", "text/markdown": "md markdown mdx mkd", "text/x-rst": "rst",
    "text/csv": "csv", "text/tab-separated-values": "tsv tab", "text/css": "css scss sass less",
    "application/x-ndjson": "jsonl ndjson", "application/yaml": "yaml yml", "application/toml": "toml",
    "application/sql": "sql", "text/javascript": "js mjs cjs jsx", "text/x-typescript": "ts tsx cts",
    "text/x-python": "py pyi pyw", "text/x-java": "java", "text/x-kotlin": "kt kts", "text/x-scala": "scala",
    "text/x-c": "c h", "text/x-c++": "cpp hpp cc hh cxx hxx", "text/x-csharp": "cs", "text/x-go": "go",
    "text/x-rust": "rs", "text/x-ruby": "rb", "text/x-perl": "pl pm", "text/x-swift": "swift", "text/x-r": "r",
    "text/x-php": "php phtml php5", "text/x-shellscript": "sh bash zsh", "text/x-powershell": "ps1 psm1",
    "text/x-msdos-batch": "bat cmd", "text/x-lua": "lua", "text/x-tex": "tex bib", "text/x-diff": "patch diff",
    "text/x-template": "vue svelte astro erb ejs jinja jinja2 j2 hbs mustache twig liquid njk jsp asp aspx cshtml tmpl",
    "application/x-subrip": "srt", "text/vtt": "vtt", "text/calendar": "ics", "text/vcard": "vcf",
    "text/asciidoc": "adoc asciidoc", "text/org": "org", "message/rfc822": "eml mht mhtml", "application/mbox": "mbox",
    "model/obj": "obj", "application/x-pem-file": "pem csr",
}  # fmt: skip

OFFICE: Final = frozenset(
    media_type
    for media_type in _USUAL
    if media_type.startswith((_OPC, "application/vnd.ms-visio.")) or media_type.endswith(".macroEnabled.12")
)
"""The types of Office Open XML documents."""

OPEN_DOCUMENTS: Final = frozenset(
    {media_type for media_type in _USUAL if media_type.startswith((_ODF, _SUN, "application/vnd.etsi.asic"))}
    | {
        "application/hwp+zip", "application/vnd.adobe.indesign-idml-package", "application/x-krita",
        "image/openraster", "application/vnd.recordare.musicxml",
    }
)  # fmt: skip
"""The types that a member ``mimetype`` may declare, besides the e-book's."""

_BY_EXTENSION = {extension: media_type for media_type, usual in _USUAL.items() for extension in usual.split()}
_WORDS = frozenset({OCTETS, PLAIN})  # what they say of a file, its name alone says as well: README, Makefile


def kind_of(media_type: str) -> Kind:
    """Return ``image``, ``video`` or ``audio`` for a type of that family, else ``file``."""
    match media_type.partition("/")[0].strip().lower():
        case "image" | "video" | "audio" as kind:
            return kind
        case _:
            return "file"


def kind_of_name(name: str) -> Kind | None:
    """Return the kind that the name's extension stands for, or None."""
    media_type = media_type_of_name(name)
    return None if media_type is None else kind_of(media_type)


def media_type_of_name(name: str) -> str | None:
    """Return the type that the name's extension stands for, or None."""
    return _BY_EXTENSION.get(name.rpartition(".")[2].strip().lower()) if "." in name else None


def extension_for(media_type: str) -> str:
    """Return the usual extension of a type with its dot.

    It is empty where the type has none. Text has none, since ``README``, ``Makefile`` and ``LICENSE`` are whole names:
    an extension would change what tools make of them.

    Args:
        media_type: a type in any case, with or without parameters.
    """
    bare = media_type.partition(";")[0].strip()
    usual = "" if bare in _WORDS else _USUAL.get(bare) or _LOWER.get(bare.lower(), "")
    return f".{usual.split()[0]}" if usual else ""


_LOWER = {media_type.lower(): usual for media_type, usual in _USUAL.items() if media_type not in _WORDS}
