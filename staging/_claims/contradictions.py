"""A claimed media type against the observed one."""

from staging._claims.kinds import HTML, JSON, MP3, OCTETS, PDF, PLAIN, SVG, XML, ZIP
from staging._claims.media import BY_BYTES, ZIPPED

_ALIASES = {
    "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png", "image/apng": "image/png",
    "image/x-ms-bmp": "image/bmp", "image/x-bmp": "image/bmp", "image/tif": "image/tiff", "image/x-tiff": "image/tiff",
    "image/vnd.microsoft.icon": "image/x-icon", "image/ico": "image/x-icon", "image/svg": SVG,
    "image/heif": "image/heic", "image/heic-sequence": "image/heic", "image/heif-sequence": "image/heic",
    "audio/mp3": MP3, "audio/x-mp3": MP3, "audio/mpeg3": MP3, "audio/x-mpeg": MP3, "audio/mpa": MP3,
    "audio/x-wav": "audio/wav", "audio/wave": "audio/wav", "audio/vnd.wave": "audio/wav", "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff", "audio/x-midi": "audio/midi", "audio/mid": "audio/midi",
    "audio/ogg": "application/ogg", "video/ogg": "application/ogg", "audio/opus": "application/ogg",
    "audio/vorbis": "application/ogg", "audio/x-vorbis+ogg": "application/ogg", "audio/x-opus+ogg": "application/ogg",
    "audio/mp4": "video/mp4", "audio/x-m4a": "video/mp4", "audio/m4a": "video/mp4", "audio/x-m4b": "video/mp4",
    "video/x-m4v": "video/mp4", "video/m4v": "video/mp4", "video/quicktime": "video/mp4", "video/3gpp": "video/mp4",
    "video/3gpp2": "video/mp4", "audio/3gpp": "video/mp4", "application/mp4": "video/mp4",
    "audio/webm": "video/webm", "video/matroska": "video/webm", "video/x-matroska": "video/webm",
    "audio/matroska": "video/webm", "audio/x-matroska": "video/webm",
    "video/avi": "video/x-msvideo", "video/msvideo": "video/x-msvideo", "video/vnd.avi": "video/x-msvideo",
    "application/x-pdf": PDF, "application/x-gzip": "application/gzip", "application/x-zip-compressed": ZIP,
    "application/x-zip": ZIP, "application/x-rar": "application/vnd.rar", "application/rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar", "application/x-bzip": "application/x-bzip2",
    "application/bzip2": "application/x-bzip2", "text/rtf": "application/rtf",
    "application/xml": XML, "application/xhtml+xml": HTML, "text/json": JSON, "application/x-json": JSON,
}  # fmt: skip
_MEANINGLESS = frozenset({OCTETS, "binary/octet-stream", "application/binary", "application/x-download", "*/*"})
_MISSED = frozenset({MP3, "application/x-tar", "image/jxl", "application/postscript"})  # have unsigned forms too
_WRAPPERS = frozenset(
    {ZIP, "application/x-ole-storage", "application/gzip", XML, JSON}
)  # other formats are made of them
_TEXTUAL = frozenset({
    JSON, "application/javascript", "application/ecmascript", "application/x-sh", "application/x-httpd-php",
    "application/yaml", "application/x-yaml", "application/toml", "application/sql", "application/x-ndjson",
    "application/x-python-code", "application/x-tex", "application/x-subrip",
})  # fmt: skip
_DATA = frozenset({JSON, "application/x-ndjson", "text/csv", "text/tab-separated-values", "text/calendar"})


def contradicts(claimed: str | None, observed: str) -> bool:
    """Whether the bytes show the claim to be wrong in a way that a person wants to know.

    Parameters, case and aliases do not count, nor do two names of one container (``audio/mp4``, ``video/quicktime``).
    A claim that says nothing is never contradicted, nor one that is more precise than the observation can be: any text
    against ``text/plain``, an unknown format against the zip, the XML or the JSON that it is made of. A web page
    contradicts every claim but text for reading; ``application/octet-stream`` only a type that is always recognised.

    Args:
        claimed: what the sender or a server says: any text at all.
        observed: what `observe` returned.
    """
    claim, seen = _canonical(claimed or ""), _canonical(observed)
    if claim == seen or "/" not in claim or claim in _MEANINGLESS:
        return False
    if (claim in ZIPPED and seen in {ZIP, "application/x-ole-storage"}) or (claim == ZIP and seen in ZIPPED):
        return False
    if claim in BY_BYTES:
        return not (seen == OCTETS and claim in _MISSED)
    if seen in {OCTETS, PLAIN}:
        return False
    return _unlike(claim, seen)


def _unlike(claim: str, seen: str) -> bool:
    """Whether a claim that no signature can prove is at odds with something that was recognised."""
    readable = claim.startswith("text/") or claim in _TEXTUAL
    if seen == HTML:
        return not readable or claim in _DATA
    if readable or claim.endswith(("+xml", "+json")):
        return seen in BY_BYTES
    return seen not in _WRAPPERS and claim.partition("/")[0] != seen.partition("/")[0]


def _canonical(media_type: str) -> str:
    bare = media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(bare, bare)
