"""Compare a claimed media type with the observed one.

An honest claim is never contradicted, however old, informal or general its name is. So each rule here makes an
exception for what honest programs write.
"""

from staging._claims.aliases import canonical
from staging._claims.kinds import (
    DOC,
    DOCX,
    ENCRYPTED,
    GZIP,
    HTML,
    JSON,
    MSG,
    OCTETS,
    OFFICE,
    OLE,
    PDF,
    PLAIN,
    PPT,
    PPTX,
    SVG,
    XLS,
    XLSB,
    XLSX,
    XML,
    ZIP,
    kind_of,
    kind_of_name,
    media_type_of_name,
)
from staging._claims.media import BY_BYTES, ZIPPED
from staging._claims.ole import DOCUMENTS as OLE_DOCUMENTS
from staging._models import Kind

_MEANINGLESS = frozenset({
    OCTETS, "binary/octet-stream", "application/binary", "application/x-binary", "application/octetstream",
    "application/x-download", "application/download", "application/force-download", "application/x-force-download",
    "application/data", "application/unknown", "application/x-unknown", "unknown/unknown", "content/unknown",
    "multipart/form-data", "application/x-www-form-urlencoded", "application/file", "file/file",
})  # fmt: skip

_RECOGNISED = frozenset(map(canonical, BY_BYTES))
_PACKAGES = frozenset(map(canonical, ZIPPED))
_OLE = frozenset(map(canonical, OLE_DOCUMENTS - {ENCRYPTED}))
# Every honest file of these types has its signature. A file without it is of another type.
_SURE = _PACKAGES | frozenset(map(canonical, (
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/x-icon", "image/heic",
    "image/avif", "image/jp2", "image/vnd.adobe.photoshop", "video/mp4", "video/webm", "video/x-msvideo", "video/x-flv",
    "video/x-ms-asf", "audio/wav", "audio/aiff", "audio/flac", "audio/midi", "application/ogg", PDF, "application/rtf",
    ZIP, GZIP, "application/x-7z-compressed", "application/vnd.rar", "application/x-bzip2", "application/x-xz",
    "application/zstd", "application/vnd.sqlite3", "application/vnd.microsoft.portable-executable", "font/woff",
    "font/woff2", "application/wasm", "application/vnd.debian.binary-package", "application/x-rpm",
)))  # fmt: skip
# Some honest files of these types are text: a table that is called Excel, a letter Word, TypeScript an MPEG film.
_ALSO_TEXT = frozenset(map(canonical, (
    DOC, XLS, PPT, MSG, OLE, "video/mp2t", "model/stl", "application/x-bplist", "application/postscript",
    "audio/vnd.dts", "image/vnd.radiance", "image/x-portable-anymap", "application/fits", "application/x-archive",
    "application/x-cpio", "application/x-python-pickle", "application/x-bittorrent", "audio/silk", "image/x-exr",
)))  # fmt: skip
_WRAPPERS = frozenset({ZIP, OLE, GZIP, XML, JSON, ENCRYPTED, "application/zstd", "application/x-xz"})
_TEXTUAL = frozenset({
    JSON, "application/javascript", "application/ecmascript", "application/x-javascript", "application/typescript",
    "application/x-sh", "application/x-csh", "application/x-shellscript", "application/x-httpd-php",
    "application/x-php",
    "application/yaml", "application/x-yaml", "application/toml", "application/sql", "application/x-sql",
    "application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/json5", "application/csv",
    "application/x-tex", "application/x-latex", "application/x-subrip", "application/mbox", "application/x-pem-file",
    "application/pgp-signature", "application/pgp-keys", "application/x-perl", "application/x-ruby",
    "application/x-powershell", "application/x-bat", "application/x-desktop", "application/graphql",
    "application/x-wine-extension-ini", "application/xml-dtd", "application/n-triples", "application/x-trash",
    "application/log", "application/x-python", "application/x-gcode", "model/obj", "model/mtl",
    "application/x-setupscript",
})  # fmt: skip
_DATA = frozenset({
    JSON, "application/x-ndjson", "application/jsonl", "application/csv", "text/csv", "text/tab-separated-values",
    "text/calendar", "text/vcard",
})  # fmt: skip
_PACKED = frozenset({GZIP, "application/x-bzip2", "application/x-xz", "application/zstd", "application/x-compress",
                     "application/x-lz4", "application/x-lzip", "application/x-lzma"})  # fmt: skip

_WORD = frozenset(map(canonical, (name for name in OFFICE if "word" in name)))
_EXCEL = frozenset(map(canonical, (name for name in OFFICE | {XLSB} if "excel" in name or "spreadsheet" in name)))
_POWERPOINT = frozenset(map(canonical, (name for name in OFFICE if "powerpoint" in name or "presentation" in name)))

# Claim: what its honest files also turn out to be.
_HONEST: dict[str, frozenset[str]] = {
    DOC: _WORD | {"application/rtf", XML}, XLS: _EXCEL | {XML}, PPT: _POWERPOINT | {XML},
    "application/postscript": frozenset({PDF}),  # Illustrator's
    "audio/aac": frozenset({"video/mp4"}), "video/mp4": frozenset({"audio/aac"}),
    "audio/flac": frozenset({"application/ogg"}),
    "image/heic": frozenset({"image/avif"}),  # HEIF is the container of both
    "application/x-tar": _PACKED, "application/x-cpio": _PACKED, "application/x-archive": _PACKED,
    SVG: frozenset({GZIP}), "image/emf": frozenset({GZIP}), "image/wmf": frozenset({GZIP}), "image/x-xcf": _PACKED,
    "application/x-blender": frozenset({GZIP, "application/zstd"}),
    "application/x-apple-diskimage": _PACKED, "application/x-bplist": frozenset({XML, JSON}),
    "video/mpeg": frozenset({"video/mp2t"}), "video/mp2t": frozenset({"video/mpeg"}),
    "text/x-typescript": frozenset({"video/mp2t"}),
    "application/x-netcdf": frozenset({"application/x-hdf5"}),  # its version 4
    "application/x-matlab-data": frozenset({"application/x-hdf5"}),
    "application/java-archive": frozenset({"application/vnd.android.package-archive"}),
}  # fmt: skip


def contradicts(claimed: str | None, observed: str, name: str = "") -> bool:
    """Tell whether the bytes show that the claim is wrong.

    Only a difference that a person wants to know of counts. Parameters, case and aliases do not count, nor do two names
    of one container (``audio/mp4``, ``video/quicktime``). A claim that says nothing is no claim. Then the extension of
    the name is the claim. A claim that is more precise than an observation can be is not contradicted: any text against
    ``text/plain``, an unknown format against the zip, the XML or the JSON that it is made of. A web page contradicts
    every claim but text for reading. Unknown bytes contradict only a type that is always recognised.

    Args:
        claimed: what the sender or a server says: any text at all.
        observed: what `observe` returned.
        name: the file's name.
    """
    claim, seen = _claim(claimed, name), canonical(observed)
    if not claim or claim == seen or seen in _HONEST.get(claim, ()) or _is_kin(claim, seen):
        return False
    if claim in _RECOGNISED:
        return not (seen == OCTETS and claim not in _SURE) and not (seen in {OCTETS, PLAIN} and claim in _ALSO_TEXT)
    if seen in {OCTETS, PLAIN}:
        return False
    # the claim is of a type without a signature, and the file is of a recognised one
    readable = claim.startswith(("text/", "message/")) or claim in _TEXTUAL
    if seen == HTML:
        return not readable or claim in _DATA
    if readable or claim.endswith(("+xml", "+json")):
        return seen in _RECOGNISED
    return seen not in _WRAPPERS and _family(claim) != _family(seen)


def refuted_claim(claimed: str | None, observed: str, name: str = "") -> str | None:
    """Return the claim that the bytes contradict, or None.

    It is the claimed type, or else the type of the name.

    Args:
        claimed: as for `contradicts`.
        observed: as for `contradicts`.
        name: as for `contradicts`.
    """
    if not contradicts(claimed, observed, name):
        return None
    return claimed if claimed and _says_something(canonical(claimed)) else media_type_of_name(name)


def kind_shown(claimed: str | None, observed: str, name: str = "") -> Kind:
    """Return the kind to call a file by.

    It is the observed kind where the bytes decide. Where one container holds sound as well as film and its tracks were
    not seen, or where the bytes show nothing, an honest claim decides.

    Args:
        claimed: as for `contradicts`.
        observed: as for `contradicts`.
        name: as for `contradicts`.
    """
    claim, seen = _claim(claimed, name), kind_of(observed)
    undecided = observed == OCTETS or (seen != "audio" and claim == canonical(observed))
    if not undecided or contradicts(claimed, observed, name):
        return seen
    said = kind_of(claimed) if claimed and _says_something(canonical(claimed)) else kind_of_name(name)
    return said or seen


def _says_something(claim: str) -> bool:
    return "/" in claim and "*" not in claim and claim not in _MEANINGLESS


def _claim(claimed: str | None, name: str) -> str:
    claim = canonical(claimed or "")
    return claim if _says_something(claim) else canonical(media_type_of_name(name) or "")


def _is_kin(claim: str, seen: str) -> bool:
    """Tell whether a claimed and an observed type are related.

    Both are documents of one program, or one is the container of the other.
    """
    if claim in _PACKAGES:  # OLE: behind a password, and seen in part
        kind, shown = _kind_of_document(claim), _kind_of_document(seen)
        return seen in {ZIP, OLE, ENCRYPTED} or kind == shown or _WITHOUT_MACROS.get(kind) == shown
    if claim in _OLE:
        return seen in {OLE, ENCRYPTED, ZIP} or (claim == OLE and seen in _OLE)
    return claim == ZIP and seen in _PACKAGES


def _kind_of_document(media_type: str) -> str:
    """Return what a document, its template and its slide show have in common."""
    for ending in ("-template", ".template"):
        media_type = media_type.removesuffix(ending)
    return _SHOWN_AS.get(media_type, media_type)


_XML = "application/vnd.openxmlformats-officedocument."
_SHOWN_AS = {
    f"{_XML}wordprocessingml": DOCX,
    f"{_XML}spreadsheetml": XLSX,
    f"{_XML}presentationml": PPTX,
    f"{_XML}presentationml.slideshow": PPTX,
    "application/oxps": "application/vnd.ms-xpsdocument",
} | {
    f"application/vnd.ms-{program}.{form}.macroenabled.12": f"application/vnd.ms-{program}.{usual}.macroenabled.12"
    for program, usual, forms in (
        ("word", "document", ("template",)),
        ("excel", "sheet", ("template",)),
        ("powerpoint", "presentation", ("template", "slideshow")),
    )
    for form in forms
}


_WITHOUT_MACROS = {  # LibreOffice writes such files: the name allows macros, and there are none
    "application/vnd.ms-word.document.macroenabled.12": DOCX,
    "application/vnd.ms-excel.sheet.macroenabled.12": XLSX,
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": PPTX,
}


def _family(media_type: str) -> str:
    main = media_type.partition("/")[0]
    return "audio" if main == "video" or media_type == "application/ogg" else main
