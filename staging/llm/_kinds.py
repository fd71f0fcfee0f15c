"""Choose the reader of a file, and the library that it needs.

The observed type decides. The name's extension and the claim decide among texts alone: a notebook is JSON, and a mail
is text.
"""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from staging._claims.kinds import (
    DOC,
    DOCX,
    ENCRYPTED,
    EPUB,
    GZIP,
    HTML,
    JSON,
    MSG,
    OLE,
    PDF,
    PLAIN,
    PPT,
    PPTX,
    XLS,
    XLSB,
    XLSX,
    XML,
    ZIP,
)
from staging._models import StagedFile
from staging.llm._converter.output import A_DOCUMENT, A_MAIL, SHEETS, SLIDES


@dataclass(frozen=True, slots=True)
class Reader:
    """How one kind of file is read.

    Attributes:
        task: the converter's task.
        remark: what its text is, in a few words for the heading.
        module: the library that it needs. Empty if it needs none.
        extra: the extra that brings the library.
        language: the info string of the fence.
    """

    task: str
    remark: str
    module: str = ""
    extra: str = "documents"
    language: str = "markdown"


_PAGE = Reader("html", "a page as Markdown", "selectolax")
_WORD = Reader("docx", A_DOCUMENT)
_SLIDES = Reader("pptx", SLIDES)
_OPEN = Reader("odf", A_DOCUMENT)
_SHEETS = Reader("xlsx", SHEETS, language="csv")
_LIST = Reader("archive", "", language="text")  # it says itself what it found
_MAIL = Reader("mail", A_MAIL)
_NOTEBOOK = Reader("notebook", "a notebook as Markdown")

_OPC = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."


def _table(*rows: tuple[Reader, Iterable[str]]) -> dict[str, Reader]:
    return {media_type: reader for reader, types in rows for media_type in types}


# fmt: off
_READERS = _table(
    (Reader("pdf", "the text of a PDF", "pypdfium2", "pdf", "text"), [PDF]),
    (_WORD, [DOCX, _OPC + "wordprocessingml.template", "application/vnd.ms-word.document.macroEnabled.12",
             "application/vnd.ms-word.template.macroEnabled.12"]),
    (_SHEETS, [XLSX, _OPC + "spreadsheetml.template", *(f"application/vnd.ms-excel.{kind}.macroEnabled.12"
               for kind in ("sheet", "template", "addin"))]),
    (_SLIDES, [PPTX, _OPC + "presentationml.template", _OPC + "presentationml.slideshow",
               *(f"application/vnd.ms-powerpoint.{kind}.macroEnabled.12"
                 for kind in ("presentation", "template", "slideshow", "addin"))]),
    (_OPEN, [_ODF + kind + suffix for kind in ("text", "presentation", "graphics") for suffix in ("", "-template")]),
    (_OPEN, [_ODF + "text-master", _ODF + "text-web"]),
    (Reader("odf", SHEETS, language="csv"), [_ODF + "spreadsheet", _ODF + "spreadsheet-template"]),
    (Reader("binary_sheets", SHEETS, language="csv"), [XLSB]),
    (Reader("old_sheets", SHEETS, "xlrd", language="csv"), [XLS]),
    (Reader("old_word", A_DOCUMENT, "olefile"), [DOC]),
    (Reader("old_slides", SLIDES, "olefile"), [PPT]),
    (Reader("outlook", A_MAIL, "olefile"), [MSG]),
    (Reader("ole", "", language="text"), [OLE]),
    (Reader("ebook", "an e-book as Markdown", "selectolax"), [EPUB]),
    (Reader("rtf", A_DOCUMENT), ["application/rtf"]),
    (_LIST, [ZIP, GZIP, "application/x-tar", "application/x-bzip2", "application/x-xz", "application/x-lzma",
             "application/java-archive", "application/vnd.android.package-archive", "application/x-xpinstall",
             "application/vnd.google-earth.kmz", "application/vnd.apple.pages", "application/vnd.apple.numbers",
             "application/vnd.apple.keynote"]),
    (_MAIL, ["message/rfc822"]),
)
# fmt: on
_PAGES = {"html", "htm", "xhtml", "xht", "shtml", "shtm"}
_MAILS = {"eml", "mht", "mhtml"}

PROTECTED = frozenset({ENCRYPTED})
UNLISTED = frozenset({
    "application/x-7z-compressed", "application/vnd.rar", "application/zstd", "application/x-lz4", "application/x-lzip",
    "application/x-compress", "application/x-lzop", "application/vnd.ms-cab-compressed", "application/x-arj",
    "application/x-lzh-compressed", "application/x-ace-compressed", "application/x-cpio", "application/x-xar",
    "application/x-stuffit",
})  # fmt: skip
"""Archives that the standard library cannot open."""


def extension(name: str) -> str:
    """Return the name's extension, in lower case and without the dot."""
    return posixpath.splitext(name.lower())[1][1:]


def reader_of(file: StagedFile) -> Reader | None:
    """Return the reader that turns the file into text.

    It is None for a file that is already text, or that has no text.
    """
    if file.media_type in _READERS:
        return _READERS[file.media_type]
    ending = extension(file.name)
    if file.media_type in {HTML, "application/xhtml+xml"}:
        return _PAGE if ending in _PAGES or not ending else None
    if file.media_type in {JSON, PLAIN} and ending == "ipynb":
        return _NOTEBOOK
    is_mail = ending in _MAILS or (file.attachment.media_type or "").lower().startswith("message/rfc822")
    if file.media_type in {PLAIN, HTML, XML} and is_mail:
        return _MAIL
    return None


def is_plain(media_type: str) -> bool:
    """Tell whether a type is text as it stands."""
    return media_type.startswith("text/") or media_type.endswith(("/json", "/xml", "+json", "+xml"))
