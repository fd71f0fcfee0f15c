"""The killable converter: a script of its own that reads one hostile file from stdin and writes to stdout.

It is started by `_process` and imports nothing of ours, so that a conversion costs an interpreter and the one library
it needs. It bounds itself (memory, CPU seconds, no file may be written) before it looks at the first byte; the parent
bounds it again from outside. Text goes out as UTF-8; a picture as a line of facts and then base64; a refusal is an
exit status out of `REASONS`, so no word of a hostile file ever becomes a message.
"""

import base64
import codecs
import contextlib
import csv
import html.parser
import importlib
import io
import itertools
import logging
import os
import re
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NoReturn, Protocol
from xml.parsers import expat

MB = 1_048_576
PIECE = 65_536

MAX_CHARS = 2_000_000  # characters of text that one file may give
MAX_MEMBERS = 2_000  # of an archive; a workbook with a picture in every cell is no longer read for its text
MAX_EXPANDED = 200 * MB
MAX_RATIO = 200  # XML of real documents shrinks 10 to 60 times, deflate at its most 1,032 times
RATIO_FROM = MB  # below this size a ratio says nothing
LITTLE_DECODED = 28 * MB  # of pixels; more only for a file that has the bytes to show for it
MUCH_DECODED = 320 * MB
DECODED_PER_BYTE = 200  # photographs have 8 to 120, a flat colour thousands
WEIGHTS = {"L": 1, "1": 2, "P": 5, "PA": 5, "LA": 7, "RGBA": 7}  # bytes a pixel takes while converted; others 4
SOFT_SECONDS = 5.0  # text stops here and says so; the parent's deadline is the hard one
CPU_SECONDS = 7

ENCRYPTED, RATIO, ENTITIES, EMPTY, MEMORY, BROKEN, PIXELS, NO_FIT, SLOW = range(64, 73)

REASONS = {
    ENCRYPTED: "it is encrypted",
    RATIO: "it expands to far more than its size",
    ENTITIES: "it declares a document type or entities",
    EMPTY: "there is no text in it; it may be a scan",
    MEMORY: "it needs too much memory",
    BROKEN: "it is damaged or of a kind that cannot be read",
    PIXELS: "it has too many pixels",
    NO_FIT: "it cannot be made small enough",
    SLOW: "reading it takes too long",
}


class RefusedError(Exception):
    """The file is not converted; the only argument is a key of `REASONS`."""


def refuse(code: int) -> NoReturn:
    """Raise `RefusedError` for one of `REASONS`."""
    raise RefusedError(code)


def limit_resources(more: int) -> None:
    """Bound this process: `more` bytes of data, CPU seconds, no file, no core; where the system can.

    RLIMIT_DATA counts private memory only (Linux 4.7), so it is near to what is really used; RLIMIT_AS is the net
    under it, wide enough for the libraries' own mappings.
    """
    with contextlib.suppress(ImportError):
        resource = importlib.import_module("resource")
        for name, value in (
            ("RLIMIT_DATA", data_in_use() + more),
            ("RLIMIT_AS", data_in_use() + more + 512 * MB),
            ("RLIMIT_CPU", CPU_SECONDS),
            ("RLIMIT_FSIZE", 0),
            ("RLIMIT_CORE", 0),
        ):
            with contextlib.suppress(AttributeError, ValueError, OSError):
                resource.setrlimit(getattr(resource, name), (value, value + (name == "RLIMIT_CPU")))


def data_in_use() -> int:
    """Return this process's bytes of data (proc_pid_statm(5)), or a usual number where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as numbers:  # noqa: PTH123  # a script that starts fast
            return int(numbers.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 32 * MB


class Text:
    """Where text goes: UTF-8 to `out`, at most `MAX_CHARS` characters and until the soft deadline, then one line."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._left = MAX_CHARS
        self._end = time.monotonic() + SOFT_SECONDS
        self.blank = True

    def write(self, text: str) -> None:
        """Write `text`; NUL goes, and a lone surrogate (PDF has them) becomes a question mark: JSON takes neither."""
        text = text[: self._left].replace("\0", "")
        text = text.lstrip("\n") if self.blank else text
        self._left -= len(text)
        self.blank = self.blank and not text.strip()
        self._out.write(text.encode("utf-8", "replace"))

    @property
    def full(self) -> bool:
        """Whether no more is wanted."""
        return self._left <= 0 or time.monotonic() > self._end

    def until_full(self, parts: Iterable[str], *, unit: str) -> None:
        """Write every part; when it is full before the end, say after how many `unit` it stopped."""
        cut = ""
        for count, part in enumerate(parts):
            if self.full:
                cut = f"\n[… the rest was not read, after {count:,} {unit} …]\n"
                break
            self.write(part)
        if self.blank:
            refuse(SLOW if cut else EMPTY)
        self._out.write(cut.encode())


# PDF


def pdf(source: IO[bytes], text: Text) -> None:
    """Write the text of every page, under its number."""
    text.until_full(page_texts(open_pdf(source)), unit="pages")


def open_pdf(source: IO[bytes]) -> Any:
    """Return the reader; a file that only its owner's password protects opens with the empty one."""
    logging.disable()
    pypdf = importlib.import_module("pypdf")
    reader = pypdf.PdfReader(source, strict=False)
    if reader.is_encrypted:
        with contextlib.suppress(pypdf.errors.DependencyError):
            if reader.decrypt(""):
                return reader
        refuse(ENCRYPTED)
    return reader


def page_texts(reader: Any) -> Iterator[str]:
    """Yield the text of the pages; one that cannot be read is named and costs no other."""
    for number, page in enumerate(reader.pages, 1):
        try:
            words = page.extract_text().strip()
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001  # pypdf raises whatever the damage leads to
            words = "[this page cannot be read]"
        yield f"\n[page {number}]\n{words}\n" if words else ""


def pdf_pages(source: IO[bytes], out: IO[bytes]) -> None:
    """Write the number of pages; 0 when pypdf is not there to count them."""
    try:
        pages = len(open_pdf(source).pages)
    except ImportError:
        if b"/Encrypt" in source.read():  # the trailer is never compressed (ISO 32000-1, 7.5.5 and 7.5.8)
            refuse(ENCRYPTED)
        pages = 0
    out.write(b"%d" % pages)


# Office Open XML


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that is a bomb, and XML that declares a document type, before anything is expanded."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_EXPANDED:
        refuse(RATIO)
    for member in members:
        if member.file_size > RATIO_FROM and member.file_size > MAX_RATIO * member.compress_size:
            refuse(RATIO)
        if member.flag_bits & 1:
            refuse(ENCRYPTED)
        if member.filename.endswith((".xml", ".rels")):
            check_prolog(archive, member)


def check_prolog(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Read XML up to its root element: a document type can only stand before it (XML 1.0, 2.8)."""
    started: list[str] = []
    parser = strict_parser()
    parser.StartElementHandler = lambda name, _: started.append(name)
    with archive.open(member) as part:
        while not started and (piece := part.read(4096)):
            parser.Parse(piece)


def strict_parser() -> Any:
    """Return an XML parser without document types, hence without entities, external ones included."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = lambda *_: refuse(ENTITIES)
    parser.EntityDeclHandler = lambda *_: refuse(ENTITIES)
    return parser


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
STRICT_WORD = "http://purl.oclc.org/ooxml/wordprocessingml/main "
BREAKS = {"p": "\n", "tr": "\n", "tc": "\t", "tab": "\t", "br": "\n", "cr": "\n"}


def docx(source: IO[bytes], text: Text) -> None:
    """Write the words of the main document part, one paragraph a line, cells parted by tabs."""
    with zipfile.ZipFile(source) as archive:
        check_archive(archive)
        names = [name for name in archive.namelist() if re.fullmatch(r"word/document\d*\.xml", name)]
        with archive.open(names[0]) as part:
            text.until_full(docx_words(part), unit="pieces")


def docx_words(part: IO[bytes]) -> Iterator[str]:
    """Yield the text runs of WordprocessingML as they are parsed, so that no tree is built."""
    found: list[str] = []
    inside: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        inside.append(name.removeprefix(WORD).removeprefix(STRICT_WORD))

    def end(_: str) -> None:
        name = inside.pop()
        found.append(" " if name == "p" and "tc" in inside else BREAKS.get(name, ""))

    def data(words: str) -> None:
        if inside and inside[-1] == "t":
            found.append(words)

    parser = strict_parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    while piece := part.read(PIECE):
        parser.Parse(piece)
        yield "".join(found)
        found.clear()


def xlsx(source: IO[bytes], text: Text) -> None:
    """Write every sheet as CSV under its name, the values as they were last computed."""
    openpyxl = importlib.import_module("openpyxl")
    with zipfile.ZipFile(source) as archive:
        check_archive(archive)
    source.seek(0)
    book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    text.until_full(itertools.chain.from_iterable(map(sheet_rows, book.worksheets)), unit="rows")


def sheet_rows(sheet: Any) -> Iterator[str]:
    """Yield the sheet's name and its rows as CSV, without the empty cells at their ends."""
    yield f"[sheet {sheet.title!r}]\n"
    sheet.reset_dimensions()  # the declared size is a claim: a million rows cost nothing to declare
    for row in sheet.iter_rows(values_only=True):
        cells = ["" if value is None else str(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        yield line.getvalue() if cells else ""


# HTML

SILENT = {"script", "style", "template", "noscript", "svg", "math", "iframe", "object"}
INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "dfn", "em", "font", "i", "img", "kbd", "label"} | {
    "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr",
}  # fmt: skip
CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-z0-9_-]{3,20})", re.IGNORECASE)
CHARSETS = re.compile(r"windows-125\d|iso-8859-\d+|koi8-[ru]|shift_jis|euc-jp|euc-kr|gb18030|gbk|gb2312|big5|tis-620")


class Words(html.parser.HTMLParser):
    """What a browser would show: no script, no style, one space between words, block elements on lines of their own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._shown: list[str] = []
        self._gap = ""  # what parts the next word from the last
        self._silent = 0
        self._exact = 0

    def taken(self) -> str:
        """Return what was found since the last call."""
        shown = "".join(self._shown)
        self._shown.clear()
        return shown

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count what is silent or preformatted; break the line at a block."""
        del attrs
        self._silent += tag in SILENT
        self._exact += tag == "pre"
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Break the line; an element that closes itself holds no text."""
        del attrs
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        """Undo what the start tag did; end tags without a start count for nothing."""
        self._silent = max(0, self._silent - (tag in SILENT))
        self._exact = max(0, self._exact - (tag == "pre"))
        self._break(tag)

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        if self._silent:
            return
        words = data if self._exact else " ".join(data.split())
        if data[:1].isspace() and not self._exact:
            self._gap = self._gap or " "
        if words:
            self._shown += (self._gap, words)
            self._gap = " " if data[-1:].isspace() and not self._exact else ""

    def _break(self, tag: str) -> None:
        if tag not in INLINE and self._gap != "\n":
            self._gap = "\t" if tag in {"td", "th"} else "\n"


def html_text(source: IO[bytes], text: Text) -> None:
    """Write the visible words of a page."""
    text.until_full(html_words(text_pieces(source, html_charset(source))), unit="pieces")


def html_words(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the words as the page is parsed, so that it is never in memory as a whole."""
    words = Words()
    for piece in pieces:
        words.feed(piece)
        yield words.taken()
    words.close()
    yield words.taken()


def html_charset(source: IO[bytes]) -> str:
    """Choose by BOM, UTF-8, the page's own declaration, windows-1252, in this order (WHATWG Encoding, 4.2)."""
    head = source.read(1024)
    declared = CHARSET.search(head)
    label = declared[1].decode("ascii").lower() if declared else ""
    return charset_of_bom(head) or utf8_or(source, label if CHARSETS.fullmatch(label) else "windows-1252")


class Readable(Protocol):
    """A binary file that can be read again."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        ...


def utf8_or(source: Readable, other: str) -> str:
    """Return ``utf-8`` if all of `source` is, else `other`."""
    try:
        for _ in text_pieces(source, "utf-8", errors="strict"):
            pass
    except UnicodeDecodeError:
        return other
    return "utf-8"


def text_pieces(source: Readable, charset: str, errors: str = "replace") -> Iterator[str]:
    """Yield the whole of `source` decoded, piece by piece, from its beginning."""
    source.seek(0)
    decode = codecs.getincrementaldecoder(charset)(errors).decode
    while piece := source.read(PIECE):
        yield decode(piece)
    yield decode(b"", True)  # the end: a character cut in half is an error


def charset_of_bom(head: bytes) -> str | None:
    """Return the encoding that a byte order mark tells; the four-byte ones first, for UTF-32-LE starts as UTF-16-LE."""
    for mark, charset in (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if head.startswith(mark):
            return charset
    return None


# Pictures

DECODERS = ("Jpeg", "Mpo", "Png", "Gif", "WebP", "Bmp", "Tiff", "Ico", "Avif", "Jpeg2K", "Psd")
LOSSY = {"JPEG", "MPO", "HEIF", "AVIF", "WEBP"}  # saved as JPEG; what was drawn (PNG, GIF, BMP, TIFF) stays exact


def picture(source: IO[bytes], out: IO[bytes], side: int, limit: int) -> None:
    """Write the first frame, upright, as PNG or JPEG of at most `side` pixels a side and `limit` bytes."""
    image = open_picture(source)
    exact = image.format not in LOSSY
    image = upright(scaled(image, decoded_allowed(source), side))
    longest = max(image.size)
    while longest:
        image.thumbnail((longest, longest))
        for data, media_type in encodings(image, exact=exact or image.mode == "RGBA"):
            if len(data) <= limit:
                out.write(f"{media_type} {image.width} {image.height}\n".encode() + base64.b64encode(data))
                return
        longest //= 2
    refuse(NO_FIT)


def open_picture(source: IO[bytes]) -> Any:
    """Read no more than the header; no other decoder than ours is tried (EPS would start Ghostscript)."""
    pil: Any = importlib.import_module("PIL.Image")
    pil.MAX_IMAGE_PIXELS = None  # its own check warns at one number and raises at twice that: ours is stricter
    for decoder in DECODERS:
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{decoder}ImagePlugin")
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    return pil.open(source, formats=list(pil.OPEN))


def decoded_allowed(source: IO[bytes]) -> int:
    """Return how many bytes of pixels a file of this size may decode to (CWE-409): few bytes with many are a bomb."""
    place = source.tell()
    size = source.seek(0, io.SEEK_END)
    source.seek(place)
    return min(MUCH_DECODED, max(LITTLE_DECODED, size * DECODED_PER_BYTE))


def scaled(image: Any, allowed: int, side: int) -> Any:
    """Shrink before anything else, while there is one copy of the pixels."""
    if "progressive" not in image.info:  # those keep all their coefficients in memory, whatever the scale
        image.draft("RGB", (side, side))  # JPEG then decodes straight to a half, a quarter or an eighth
    if image.width * image.height * WEIGHTS.get(image.mode, 4) > allowed:
        refuse(PIXELS)
    if image.mode in {"1", "P", "PA"}:  # black or white, and the numbers of a palette, cannot be averaged
        see_through = "transparency" in image.info or image.mode == "PA"
        image = image.convert("RGBA" if see_through else "L" if image.mode == "1" else "RGB")
    image.thumbnail((side, side))
    return image


def upright(image: Any) -> Any:
    """Turn it as its EXIF says, since that is lost, and make its mode one that PNG and JPEG both have."""
    image = importlib.import_module("PIL.ImageOps").exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # 16 bits and more: the upper eight are the picture
        image = image.convert("I").point(lambda level: level / 256).convert("L")
    if image.mode not in {"L", "RGB", "RGBA"}:
        image = image.convert("RGBA" if "A" in image.mode or "a" in image.mode else "RGB")
    image.info = {}  # nothing of the file's own metadata is written again
    return image


def encodings(image: Any, *, exact: bool) -> Iterator[tuple[bytes, str]]:
    """Yield the picture in ever fewer bytes."""
    if exact:
        yield save(image, "PNG", optimize=False), "image/png"
    flat = importlib.import_module("PIL.Image").new("RGB", image.size, "white")
    flat.paste(image, mask=image if image.mode == "RGBA" else None)
    for quality in (85, 65, 45):
        yield save(flat, "JPEG", quality=quality), "image/jpeg"


def save(image: Any, kind: str, **options: Any) -> bytes:
    """Return the picture's bytes in the given format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# The script

TEXTS: dict[str, Callable[[IO[bytes], Text], None]] = {"pdf": pdf, "docx": docx, "xlsx": xlsx, "html": html_text}


def convert(task: str, source: IO[bytes], out: IO[bytes], *numbers: int) -> None:
    """Do one task under its bounds."""
    with contextlib.suppress(ImportError):
        importlib.import_module(LIBRARIES.get(task, "io"))  # what is trusted is loaded before the bounds are set
    limit_resources(PICTURE_MEMORY if task == "picture" else TEXT_MEMORY)
    warnings.simplefilter("ignore")
    if task == "picture":
        picture(source, out, *numbers)
    elif task == "pdf_pages":
        pdf_pages(source, out)
    else:
        TEXTS[task](source, Text(out))


LIBRARIES = {"pdf": "pypdf", "pdf_pages": "pypdf", "xlsx": "openpyxl", "picture": "PIL.Image"}
TEXT_MEMORY = 40 * MB
PICTURE_MEMORY = 460 * MB


def main(task: str, *numbers: str) -> int:
    """Return the exit status: 0, or a key of `REASONS`."""
    try:
        convert(task, sys.stdin.buffer, sys.stdout.buffer, *map(int, numbers))
        sys.stdout.buffer.flush()
    except RefusedError as error:
        return int(error.args[0])
    except MemoryError:
        return MEMORY
    except Exception:  # noqa: BLE001  # damage shows itself in every way; the parent tells it in one
        return BROKEN
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
