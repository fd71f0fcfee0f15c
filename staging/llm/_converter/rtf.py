"""Read RTF 1.9.1 as Markdown.

Words are decoded in their code pages. Tables, notes and links are kept. Hidden text and descriptions of the document
are left out.
"""

import codecs
import io
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import IO

from staging.llm._converter import markdown
from staging.llm._converter.output import BROKEN, DEEP, Output

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
# fmt: off
_DESCRIBING = {
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "themedata", "colorschememapping",
    "datastore", "latentstyles", "listtable", "listoverridetable", "rsidtbl", "generator", "xmlnstbl",
    "mmathPr", "fldinst", "bkmkstart", "bkmkend", "filetbl", "revtbl", "nonshppict", "pnseclvl", "pntxta",
    "pntxtb", "listlevel", "listname", "userprops", "wgrffmtfilter", "atnid", "atntime", "atnref", "atndate",
    "atnparent", "template", "operator", "objdata", "blipuid", "picprop", "sp", "background", "panose", "falt",
    "ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "ftncn", "aftncn", "tc", "xe", "rxe", "datafield", "formfield",
    "shprslt",
}
_TEXTS = {
    "par": "\n\n", "line": "\n", "tab": "\t", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘",
    "rquote": "’", "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ",
    "page": "\n\n", "sect": "\n\n", "softline": "\n", "zwj": "\u200d", "zwnj": "\u200c",
}
_CHARSETS = {
    0: "cp1252", 2: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5hkscs",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}
_EDGES = {
    "header": "header", "headerl": "header", "headerr": "header", "headerf": "header", "footer": "footer",
    "footerl": "footer", "footerr": "footer", "footerf": "footer",
}
# fmt: on
_MAX_DEPTH = 500
_TARGET = re.compile(r'HYPERLINK\s+(?:\\[a-z]\s+)*"([^"]+)"')


@dataclass(slots=True)
class _Group:
    """What holds within braces.

    Attributes:
        codec: of bytes above ASCII.
        skip: how many bytes stand for a Unicode character in programs that know none.
        hidden: whether its words are hidden.
        kind: what it is: text, or one of those that are set aside.
        words: where its words go.
    """

    codec: str = "cp1252"
    skip: int = 1
    hidden: bool = False
    kind: str = "text"
    words: list[str] = field(default_factory=list)


def read(source: IO[bytes], out: Output) -> None:
    """Write the document."""
    data = source.read()
    if not data.lstrip().startswith(b"{\\rtf"):
        out.refuse(BROKEN)
    document = _Document(out)
    document.parse(data)
    out.text(document.text())
    document.tell()


def words(data: bytes) -> str:
    """Return the words of a document that is part of another."""
    document = _Document(Output(io.BytesIO()))
    document.parse(data)
    return document.text()


class _Document:
    def __init__(self, out: Output) -> None:
        self._out = out
        self._groups = [_Group()]
        self._pending = b""  # bytes of one code page that are decoded together: a character may be two
        self._skip = 0
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._default = "cp1252"
        self._row: list[str] = []
        self._cell_start = 0
        self._in_table = self._after_row = False
        self._heading = 0
        self._aside: list[str] = []
        self._edges: dict[str, list[str]] = {"header": [], "footer": []}
        self._author = self._target = ""
        self.counts: Counter[str] = Counter()

    @property
    def _group(self) -> _Group:
        return self._groups[-1]

    def parse(self, data: bytes) -> None:
        """Read every token."""
        at = 0
        while found := _TOKEN.match(data, at):
            at = found.end()
            word, number, code, sign, brace, text = found.groups()
            if word:
                at = self._word(word.decode("ascii"), int(number) if number else None, at)
            elif code:
                self._bytes(bytes([int(code, 16)]))
            elif text:
                self._bytes(text)
            elif sign:
                self._sign(sign)
            elif brace:
                self._brace(brace)
        self._flush()

    def text(self) -> str:
        """Return the whole as Markdown."""
        headers, footers = (
            "".join(
                f"[{kind}: {words}]\n\n" for words in dict.fromkeys(map(markdown.one_line, self._edges[kind])) if words
            )
            for kind in ("header", "footer")
        )
        whole = "".join(self._groups[0].words).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        whole = re.sub(r"(?m)^[ \t]*[•·▪◦\uf0b7]\t", "- ", whole)
        body = re.sub(r"\n{3,}", "\n\n", whole.strip("\n"))
        return headers + body + "\n" + "".join(self._aside) + footers

    def tell(self) -> None:
        """Say what was left out."""
        for what in ("comment", "picture", "embedded object"):
            if n := self.counts[what]:
                self._out.remark(f"{n:,} {what}{'s' * (n != 1)}" + (" not shown" if what != "comment" else ""))
        if n := self.counts["hidden"]:
            self._out.remark(f"{n:,} characters of hidden text left out")

    def _brace(self, brace: bytes) -> None:
        self._flush()
        if brace == b"{":
            if len(self._groups) > _MAX_DEPTH:
                self._out.refuse(DEEP)
            self._groups.append(replace(self._group))
        elif len(self._groups) > 1:
            self._close(self._groups.pop())

    def _close(self, group: _Group) -> None:
        """Put the words of a group that was set aside where they belong."""
        if group.kind == self._group.kind and group.words is self._group.words:
            return
        words = "".join(group.words).strip()
        if group.kind in self._edges:
            self._edges[group.kind].append(words)
        elif group.kind in {"footnote", "annotation"}:
            self._note(group.kind, words)
        elif group.kind == "fldinst":
            found = _TARGET.search(words)
            self._target = found[1] if found else ""
        elif group.kind == "fldrslt":
            self._add(markdown.link(words, self._target) if self._target else "".join(group.words))
            self._target = ""
        elif group.kind == "listtext":
            self._add("- " if len(words) == 1 and not words.isalnum() else f"{words} " if words else "")
        elif group.kind == "atnauthor":
            self._author = markdown.one_line(words)
        elif group.kind == "shptxt" and words:
            self._groups[0].words.append(f"\n\n{words}\n\n")

    def _note(self, kind: str, words: str) -> None:
        self.counts[kind] += 1
        if kind == "annotation":
            self.counts["comment"] += 1
            by = f" by {self._author}" if self._author else ""
            self._add(f"[comment {self.counts['comment']}]")
            self._aside.append(f"\n[comment {self.counts['comment']}{by}: {words}]\n")
        else:
            self._add(f"[^{self.counts[kind]}]")
            self._aside.append(f"\n[^{self.counts[kind]}]: {words}\n")

    def _word(self, word: str, number: int | None, at: int) -> int:  # noqa: C901, PLR0912  # one line for each word
        group = self._group
        if word == "bin":
            return at + max(0, number or 0)
        self._flush()
        if word == "u" and number is not None:
            self._unicode(number)
        elif word == "uc":
            group.skip = min(8, max(0, number if number is not None else 1))
        elif word == "v":
            group.hidden = number != 0
        elif word in {"f", "af"} and number is not None:
            self._font = number
            group.codec = self._fonts.get(number, self._default)
        elif word == "fcharset" and number is not None:
            self._fonts[self._font] = _CHARSETS.get(number, self._default) if number else self._default
        elif word == "ansicpg" and number:
            self._default = group.codec = self._groups[0].codec = _codec(number)
        elif word in {"mac", "pc", "pca"}:
            self._default = group.codec = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}[word]
        elif word in {"pard", "plain"}:
            self._plain(word)
        elif word == "outlinelevel" and number is not None and number < 6:
            self._heading = number + 1
        elif word == "intbl":
            self._in_table = True
        elif word in {"cell", "nestcell"}:
            self._cell()
        elif word in {"row", "nestrow"}:
            self._end_row()
        elif (
            word in _DESCRIBING
            or word in {"fldrslt", "footnote", "annotation", "atnauthor", "shptxt", "listtext"}
            or word in _EDGES
        ):
            self._aside_group(word)
        elif word in _TEXTS:
            self._break(word)
        return at

    def _aside_group(self, word: str) -> None:
        self.counts["picture"] += word == "pict"
        self.counts["embedded object"] += word == "object"
        self._group.kind = _EDGES.get(word, "silent" if word in _DESCRIBING - {"fldinst"} else word)
        self._group.words = []

    def _plain(self, word: str) -> None:
        if word == "plain":
            self._group.hidden = False
        elif self._group.kind == "text":
            self._in_table = False
            self._heading = 0

    def _break(self, word: str) -> None:
        words = self._group.words
        if word == "par" and self._group.kind == "text":
            if self._in_table:
                self._add("\n")
                return
            self._after_row = False
            if self._heading:
                start = next((n for n in range(len(words), 0, -1) if words[n - 1].endswith("\n\n")), 0)
                line = "".join(words[start:]).strip()
                words[start:] = [markdown.heading(self._heading, line).lstrip("\n")] if line else []
                return
        self._add(_TEXTS[word])

    def _cell(self) -> None:
        words = self._group.words
        start = next(
            (n for n in range(len(words), 0, -1) if words[n - 1] in {"\n\n", "\0"} or words[n - 1].endswith(" |\n")), 0
        )
        self._row.append("".join(words[start:]).strip("\0"))
        words[start:] = ["\0"]

    def _end_row(self) -> None:
        words = self._group.words
        while words and words[-1] == "\0":
            words.pop()
        if self._row:
            line = "| " + " | ".join(map(markdown.cell, self._row)) + " |\n"
            if not self._after_row:
                line = "\n\n" + line + "|" + " --- |" * len(self._row) + "\n"
            words.append(line)
        self._row = []
        self._after_row = True

    def _sign(self, sign: bytes) -> None:
        self._flush()
        if sign == b"*":  # what follows is a destination, silent unless it is one that is known
            self._group.kind = "silent"
            self._group.words = []
        elif sign in {b"\n", b"\r"}:
            self._break("par")
        else:
            self._add({b"~": "\xa0", b"_": "\u2011", b"-": ""}.get(sign, sign.decode("latin-1")))

    def _unicode(self, number: int) -> None:
        self._add(chr(number % 65_536))
        self._skip = self._group.skip

    def _bytes(self, data: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._pending += data

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, b""
            self._add(pending.decode(self._group.codec, "replace"))

    def _add(self, text: str) -> None:
        group = self._group
        if group.hidden and group.kind != "silent":
            self.counts["hidden"] += len(text.strip())
        elif group.kind != "silent":
            group.words.append(text)


def _codec(number: int) -> str:
    name = {65001: "utf-8", 10000: "mac_roman", 936: "gb18030", 950: "big5hkscs"}.get(number, f"cp{number}")
    try:
        codecs.lookup(name)
    except LookupError:
        return "cp1252"
    return name
