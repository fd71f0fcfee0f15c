"""Media types by name, the kinds they belong to, and the extensions that stand for them."""

from staging._models import Kind

OCTETS = "application/octet-stream"
PLAIN = "text/plain"
HTML = "text/html"
SVG = "image/svg+xml"
XML = "text/xml"
JSON = "application/json"
PDF = "application/pdf"
ZIP = "application/zip"
MP3 = "audio/mpeg"

OPC = "application/vnd.openxmlformats-officedocument."
ODF = "application/vnd.oasis.opendocument."
OFFICE = {  # the folder of the main part (ECMA-376 part 1, annex A)
    b"word": OPC + "wordprocessingml.document",
    b"xl": OPC + "spreadsheetml.sheet",
    b"ppt": OPC + "presentationml.presentation",
}
DECLARED = frozenset({"application/epub+zip", *(ODF + k for k in ("text", "spreadsheet", "presentation", "graphics"))})


def kind_of(media_type: str) -> Kind:
    """Return ``image``, ``video`` or ``audio`` for a type of that family, else ``file``."""
    match media_type.partition("/")[0].strip().lower():
        case "image" | "video" | "audio" as kind:
            return kind
        case _:
            return "file"


def kind_of_name(name: str) -> Kind | None:
    """Return the kind that the name's extension stands for; None if it stands for none that is known."""
    media_type = media_type_of_name(name)
    return None if media_type is None else kind_of(media_type)


def media_type_of_name(name: str) -> str | None:
    """Return the type that the name's extension stands for, where the sender claims none; None if it is unknown.

    A fixed table: `mimetypes` reads files of the machine, and answers differently on each.
    """
    return _EXTENSIONS.get(name.rpartition(".")[2].strip().lower()) if "." in name else None


_EXTENSIONS = {
    "png": "image/png", "apng": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "jfif": "image/jpeg",
    "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
    "ico": "image/x-icon", "heic": "image/heic", "heif": "image/heif", "avif": "image/avif", "svg": SVG,
    "jxl": "image/jxl", "jp2": "image/jp2", "psd": "image/vnd.adobe.photoshop",
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/matroska",
    "avi": "video/x-msvideo", "3gp": "video/3gpp", "mpg": "video/mpeg", "mpeg": "video/mpeg", "wmv": "video/x-ms-wmv",
    "flv": "video/x-flv", "ogv": "video/ogg",
    "mp3": MP3, "wav": "audio/wav", "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "flac": "audio/flac",
    "m4a": "audio/mp4", "aac": "audio/aac", "aif": "audio/aiff", "aiff": "audio/aiff", "mid": "audio/midi",
    "midi": "audio/midi", "wma": "audio/x-ms-wma",
    "pdf": PDF, "ps": "application/postscript", "rtf": "application/rtf", "epub": "application/epub+zip",
    "docx": OFFICE[b"word"], "xlsx": OFFICE[b"xl"], "pptx": OFFICE[b"ppt"],
    "odt": ODF + "text", "ods": ODF + "spreadsheet", "odp": ODF + "presentation", "odg": ODF + "graphics",
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "zip": ZIP, "gz": "application/gzip", "tgz": "application/gzip", "7z": "application/x-7z-compressed",
    "rar": "application/vnd.rar", "bz2": "application/x-bzip2", "xz": "application/x-xz", "zst": "application/zstd",
    "tar": "application/x-tar", "jar": "application/java-archive",
    "txt": PLAIN, "log": PLAIN, "md": "text/markdown", "markdown": "text/markdown", "rst": "text/x-rst",
    "csv": "text/csv", "tsv": "text/tab-separated-values", "html": HTML, "htm": HTML, "xml": XML, "css": "text/css",
    "json": JSON, "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson", "yaml": "application/yaml",
    "yml": "application/yaml", "toml": "application/toml", "ini": PLAIN, "cfg": PLAIN, "sql": "application/sql",
    "py": "text/x-python", "js": "text/javascript", "mjs": "text/javascript", "ts": "text/x-typescript",
    "tsx": "text/x-typescript", "jsx": "text/javascript", "java": "text/x-java", "c": "text/x-c", "h": "text/x-c",
    "cpp": "text/x-c++", "hpp": "text/x-c++", "cs": "text/x-csharp", "go": "text/x-go", "rs": "text/x-rust",
    "rb": "text/x-ruby", "php": "text/x-php", "sh": "text/x-shellscript", "lua": "text/x-lua", "tex": "text/x-tex",
    "patch": "text/x-diff", "diff": "text/x-diff", "srt": "application/x-subrip", "vtt": "text/vtt",
    "ics": "text/calendar",
}  # fmt: skip
