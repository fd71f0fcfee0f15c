"""HTML: what a browser would show."""

import html.parser
import re
from collections.abc import Iterable, Iterator
from typing import IO

from staging.llm._converter.output import Output
from staging.llm._converter.plain import charset_of_bom, text_pieces, utf8_or

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


def read(source: IO[bytes], out: Output) -> None:
    """Write the visible words of a page."""
    out.until_full(html_words(text_pieces(source, html_charset(source))), unit="pieces")


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
