"""Read RTF 1.9.1 as Markdown.

Words are decoded in their code pages. Tables, notes and links are kept. Hidden text and descriptions of the document
are left out.
"""

import codecs
import io
import re
from collections import Counter
from copy import copy
from typing import IO

from staging.llm._converter import markdown, symbols
from staging.llm._converter.output import BROKEN, DEEP, Output

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
# fmt: off
_DESCRIBING = {
    "colortbl", "info", "pict", "object", "themedata", "colorschememapping",
    "datastore", "latentstyles", "listtable", "listoverridetable", "rsidtbl", "generator", "xmlnstbl",
    "mmathPr", "fldinst", "bkmkstart", "bkmkend", "filetbl", "revtbl", "nonshppict", "pnseclvl", "pntxta",
    "pntxtb", "listlevel", "listname", "userprops", "wgrffmtfilter", "atnid", "atntime", "atnref", "atndate",
    "atnparent", "template", "operator", "objdata", "blipuid", "picprop", "sp", "background", "panose", "falt",
    "ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "ftncn", "aftncn", "tc", "xe", "rxe", "datafield", "formfield",
    "shprslt", "nonesttables",
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
_ASIDE = {"fldrslt", "footnote", "annotation", "atnauthor", "shptxt", "listtext", "stylesheet", "fonttbl", "ffl"}
_EDGES = {
    "header": "header", "headerl": "header", "headerr": "header", "headerf": "header", "footer": "footer",
    "footerl": "footer", "footerr": "footer", "footerf": "footer",
}
# fmt: on
_MAX_DEPTH = 500
_MAX_TABLES = 30  # of which one is in the other
_SIGNS = 2  # the character set of fonts whose letters are signs
_UNDECIDED = 25  # the result of a form's field that has its default
_BODY_LEVEL = 6  # outline levels from here on are those of text
_TARGET = re.compile(r'HYPERLINK\s+(?!\\l)(?:\\[a-z]\s+)*"([^"]+)"')


class _Group:
    """What holds within braces.

    Attributes:
        codec: of bytes above ASCII.
        skip: how many bytes stand for a Unicode character in programs that know none.
        hidden: by what its words are hidden, or nothing.
        style: the number of its paragraphs' style.
        level: of a heading that the style makes; 0 for none.
        kind: what it is: text, or one of those that are set aside.
        target: of the link that the field around it is.
        value: what the instruction of that field shows. Its result is then left out.
        words: where its words go.
    """

    def __init__(self) -> None:
        self.codec, self.skip = "cp1252", 1
        self.hidden = ""
        self.style = self.level = 0
        self.kind = "text"
        self.target = self.value = ""
        self.words: list[str] = []

    def set_aside(self, kind: str) -> None:
        """Collect its words for themselves from now on."""
        self.kind, self.words = kind, []


class _Letters:
    """Decodes bytes, each in the code page of its font."""

    def __init__(self) -> None:
        self.default = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = self._charset = 0
        self._pending = bytearray()  # of one code page, decoded together: a character may be two
        self._skipped = 0

    def choose(self, number: int) -> str:
        """Return the code page of a font, or its name if it is one of signs."""
        self._font = number
        return self._fonts.get(number, self.default)

    def describe(self, charset: int) -> None:
        """Note the character set of the font that was named last."""
        self._charset = charset
        self._fonts[self._font] = _CHARSETS.get(charset, self.default) if charset else self.default

    def name(self, text: str) -> None:
        """Note the name of the font that was described last, if it is one of signs."""
        name = text.strip(" ;").lower()
        if self._charset == _SIGNS and name in symbols.FONTS:
            self._fonts[self._font] = name

    def skip(self, count: int) -> None:
        """Leave out the next bytes, which stand for a character that was told."""
        self._skipped = count

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._pending += data[self._skipped :]
        self._skipped = max(0, self._skipped - len(data))

    def taken(self) -> bytes:
        """Return the bytes since the last call."""
        data = bytes(self._pending)
        self._pending.clear()
        return data


class _Rows:
    """Collects the cells of a table's rows.

    Markdown has no table in a table. The rows of an inner one become lines in their cell, as those of docx do. A mark
    stands in the words where a cell may begin. It is as many NUL as the least depth of a table to which it applies.
    """

    def __init__(self) -> None:
        self.inside = self.after = False
        self.depth = 1
        self._cells: dict[int, list[str]] = {}  # by the depth of their table

    def end_paragraph(self, words: list[str]) -> None:
        """Mark that an inner table may begin."""
        words.append("\0" * (self.depth + 1))

    def end_cell(self, words: list[str], depth: int) -> None:
        """Take the words since the last mark as a cell."""
        self._end_inner(words, depth)
        marks = {"\n\n", *("\0" * n for n in range(1, depth + 1))}
        start = next((n for n in range(len(words), 0, -1) if words[n - 1] in marks or words[n - 1].endswith(" |\n")), 0)
        self._cells.setdefault(depth, []).append("".join(words[start:]).replace("\0", ""))
        words[start:] = ["\0" * depth]

    def end_row(self, words: list[str]) -> None:
        """Write the row."""
        self._end_inner(words, 1)
        while words and words[-1] == "\0":
            words.pop()
        if cells := self._cells.pop(1, []):
            line = "| " + " | ".join(map(markdown.cell, cells)) + " |\n"
            words.append(line if self.after else f"\n\n{line}|{' --- |' * len(cells)}\n")
        self.after = True

    def end_inner_row(self, words: list[str]) -> None:
        """Write the innermost row into its cell."""
        depth = max(self._cells, default=1)
        if depth > 1:
            while words and words[-1] == "\0" * depth:
                words.pop()
            cells = map(str.strip, self._cells.pop(depth))
            words += ["; ".join(filter(None, cells)) + "\n", "\0" * depth]

    def _end_inner(self, words: list[str], depth: int) -> None:
        """Write the rows of tables within, which have not ended."""
        while max(self._cells, default=0) > depth:
            self.end_inner_row(words)


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
        self._letters = _Letters()
        self._rows = _Rows()
        self._headings: dict[int, int] = {}  # the level of each style that makes one
        self._heading = 0
        self._aside: list[str] = []
        self._edges: dict[str, list[str]] = {"header": [], "footer": []}
        self._author = ""
        self._form: dict[str, int] = {}  # what is told of a form's field
        self._choices: list[str] = []
        self.counts: Counter[str] = Counter()

    @property
    def _group(self) -> _Group:
        return self._groups[-1]

    def parse(self, data: bytes) -> None:  # noqa: C901  # one line for each kind of token
        """Read every token."""
        at = 0
        opened = False  # whether a group has just begun
        while found := _TOKEN.match(data, at):
            at = found.end()
            word, number, code, sign, brace, text = found.groups()
            begins, opened = opened, brace == b"{" or (opened and not any(found.groups()))
            if code or text:
                self._letters.feed(bytes([int(code, 16)]) if code else text)
                continue
            if word in {b"bin", b"upr"}:  # of the two groups of `upr`, the first is for programs that know no Unicode
                at = at + max(0, int(number or 0)) if word == b"bin" else _after_group(data, at)
                continue
            if word or sign or brace:
                self._decode()
            if word:
                self._word(word.decode("ascii"), int(number) if number else None)
            elif sign == b"*":  # where a group begins, what follows is a destination, silent unless it is known
                if begins:
                    self._group.set_aside("silent")
            elif sign in {b"\n", b"\r"}:
                self._break("par")
            elif sign:
                self._add({b"~": "\xa0", b"_": "\u2011", b"-": ""}.get(sign, sign.decode("latin-1")))
            elif brace:
                self._brace(brace)
        self._decode()
        self._rows.end_row(self._groups[0].words)  # of cells whose row never ends

    def text(self) -> str:
        """Return the whole as Markdown."""
        headers, footers = (
            "".join(
                f"[{kind}: {words}]\n\n" for words in dict.fromkeys(map(markdown.one_line, self._edges[kind])) if words
            )
            for kind in ("header", "footer")
        )
        whole = "".join(self._groups[0].words).replace("\0", "")
        whole = whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        whole = re.sub(r"(?m)^[ \t]*[•·▪◦\uf0b7]\t", "- ", whole)
        whole = re.sub(r"(?m)^(\|.*\|\n)(?=[^|\n])", r"\1\n", whole)  # a line under a row would be one of its table
        body = re.sub(r"\n{3,}", "\n\n", whole.strip("\n"))
        return headers + body + "\n" + "".join(self._aside) + footers

    def tell(self) -> None:
        """Say what was left out."""
        for what in ("comment", "picture", "embedded object", "tracked deletion"):
            if n := self.counts[what]:
                ending = {"comment": "", "tracked deletion": " left out"}.get(what, " not shown")
                self._out.remark(f"{n:,} {what}{'s' * (n != 1)}{ending}")
        if n := self.counts["sign"]:
            self._out.remark(symbols.told(n))
        if n := self.counts["hidden"]:
            self._out.remark(f"{n:,} characters of hidden text left out")

    def _brace(self, brace: bytes) -> None:
        if brace == b"{":
            if len(self._groups) > _MAX_DEPTH:
                self._out.refuse(DEEP)
            inner = copy(self._group)
            if inner.kind == "stylesheet":
                inner.set_aside("style")
                inner.style = inner.level = 0
            self._groups.append(inner)
        elif len(self._groups) > 1:
            self._close(self._groups.pop())

    def _close(self, group: _Group) -> None:  # noqa: C901  # one line for each kind
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
            self._group.target = found[1] if found else ""
            self._group.value = symbols.of_field(words) or self._form_value(words)
            self._shown(self._group.value)
        elif group.kind == "fldrslt" and not group.value:
            self._add(markdown.link(words, group.target) if group.target else "".join(group.words))
        elif group.kind == "ffl":
            self._choices.append(words)
        elif group.kind == "listtext":
            self._add("- " if len(words) == 1 and not words.isalnum() else f"{words} " if words else "")
        elif group.kind == "atnauthor":
            self._author = markdown.one_line(words)
        elif group.kind == "shptxt" and words:
            self._groups[0].words.append(f"\n\n{words}\n\n")
        elif group.kind == "style":
            named = markdown.HEADING_STYLE.match(words)
            self._headings[group.style] = int(named[1]) if named else group.level

    def _form_value(self, instruction: str) -> str:
        """Return the state of a form's check box or list.

        A text field has its result as text.
        """
        form, choices = self._form, self._choices
        self._form, self._choices = {}, []
        result = form.get("ffres", _UNDECIDED)
        result = form.get("ffdefres", 0) if result == _UNDECIDED else result
        if instruction.startswith("FORMCHECKBOX"):
            return "☒" if result else "☐"
        return "".join(choices[result : result + 1]) if result >= 0 and instruction.startswith("FORMDROPDOWN") else ""

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

    def _word(self, word: str, number: int | None) -> None:  # noqa: C901, PLR0912  # one line for each word
        group = self._group
        if word == "u" and number is not None:
            character = chr(number % 65_536)
            if symbols.PRIVATE.match(character):
                self._shown(symbols.sign(group.codec, ord(character)))
            else:
                self._add(character)
            self._letters.skip(group.skip)
        elif word == "uc":
            group.skip = min(8, max(0, number if number is not None else 1))
        elif word in {"v", "deleted"}:
            group.hidden = word if number != 0 else ""
            self.counts["tracked deletion"] += group.hidden == "deleted" and group.kind == "text"
        elif word in {"f", "af"} and number is not None:
            group.codec = self._letters.choose(number)
        elif word == "fcharset" and number is not None:
            self._letters.describe(number)
        elif word == "ansicpg" and number:
            self._letters.default = group.codec = self._groups[0].codec = _codec(number)
        elif word in {"mac", "pc", "pca"}:
            self._letters.default = group.codec = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}[word]
        elif word in {"s", "outlinelevel", "pard", "plain"}:
            self._style(word, number)
        elif word == "intbl":
            self._rows.inside = True
        elif word == "itap":
            self._rows.depth = min(_MAX_TABLES, max(1, number or 0))
        elif word in {"cell", "nestcell"}:
            self._rows.end_cell(group.words, 1 if word == "cell" else max(2, self._rows.depth))
        elif word == "row":
            self._rows.end_row(group.words)
        elif word == "nestrow":
            self._rows.end_inner_row(group.words)
        elif word in {"ffres", "ffdefres"}:
            self._form[word] = number or 0
        elif word in {"nesttableprops", "ud"}:  # the words of a row that ends in it stand around it, and so do its own
            group.kind, group.words = self._groups[-2:][0].kind, self._groups[-2:][0].words
        elif word in _DESCRIBING or word in _ASIDE or word in _EDGES:
            self.counts["picture"] += word == "pict"
            self.counts["embedded object"] += word == "object"
            group.set_aside(_EDGES.get(word, "silent" if word in _DESCRIBING - {"fldinst"} else word))
        elif word in _TEXTS:
            self._break(word)

    def _style(self, word: str, number: int | None) -> None:
        """Change how paragraphs or letters look from here on."""
        group = self._group
        if word == "plain":
            group.hidden = ""
        elif group.kind == "style":
            group.style = number or 0 if word == "s" else group.style
            group.level = (number or 0) + 1 if word == "outlinelevel" and (number or 0) < _BODY_LEVEL else group.level
        elif group.kind == "text" and word == "pard":
            self._rows.inside, self._rows.depth = False, 1
            self._heading = 0
        elif word == "s":
            self._heading = self._headings.get(number or 0, 0)
        elif word == "outlinelevel" and number is not None and number < _BODY_LEVEL:
            self._heading = number + 1

    def _break(self, word: str) -> None:
        words = self._group.words
        if word == "par" and self._group.kind == "text":
            if self._rows.inside:
                self._add("\n")
                self._rows.end_paragraph(words)
                return
            self._rows.after = False
            if self._heading:
                start = next((n for n in range(len(words), 0, -1) if words[n - 1].endswith("\n\n")), 0)
                line = "".join(words[start:]).strip()
                words[start:] = [markdown.heading(self._heading, line).lstrip("\n")] if line else []
                return
        self._add(_TEXTS[word])

    def _decode(self) -> None:
        """Add the words of the bytes that came."""
        data, codec = self._letters.taken(), self._group.codec
        if codec in symbols.FONTS:
            self._shown("".join(symbols.sign(codec, byte) for byte in data))
        elif data:
            self._add(data.decode(codec, "replace"))

    def _shown(self, text: str) -> None:
        """Add words, and count the signs in them that are not known."""
        self.counts["sign"] += text.count(symbols.UNKNOWN) * (self._group.kind not in {"silent", "listtext"})
        self._add(text)

    def _add(self, text: str) -> None:
        group = self._group
        if group.kind == "fonttbl":
            self._letters.name(text)
        if group.hidden and group.kind != "silent":
            self.counts["hidden"] += len(text.strip()) * (group.hidden == "v")
        elif text and group.kind != "silent":
            group.words.append(text)


def _after_group(data: bytes, at: int) -> int:
    """Return the end of the group that begins at a place."""
    depth = 0
    while found := _TOKEN.match(data, at):
        depth += (found[5] == b"{") - (found[5] == b"}")
        if depth < 0:
            break
        at = found.end() + (max(0, int(found[2] or 0)) if found[1] == b"bin" else 0)
        if found[5] and not depth:
            break
    return at


def _codec(number: int) -> str:
    name = {65001: "utf-8", 10000: "mac_roman", 936: "gb18030", 950: "big5hkscs"}.get(number, f"cp{number}")
    try:
        codecs.lookup(name)
    except LookupError:
        return "cp1252"
    return name
