"""Read Word documents (docx, docm, dotx) as Markdown.

The text is what Word shows on the page, each part once. The source is ECMA-376 part 1, 17.

Theory of operation. The body is parsed paragraph by paragraph and table row by table row, so that no more than one of
them is in memory. `_Inline` turns one into words. It follows fields, and leaves out what is hidden or was deleted by a
tracked change. Text boxes come after their paragraph. Headers stand in front. Notes and comments stand behind, each
with the mark by which the text refers to it.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter import drawing, markdown, page, symbols
from staging.llm._converter.formulas import equation
from staging.llm._converter.numbering import Numbering, font_of, hidden_by
from staging.llm._converter.output import BROKEN, Output
from staging.llm._converter.package import Package, Relation, attribute, below, is_on, relation_id

_BREAKS = {"w:tab": "\t", "w:ptab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "\u2011", "w:softHyphen": ""}
_LEFT_OUT = {"w:del", "w:moveFrom", "w:rPr", "w:pPr", "w:sdtPr", "w:sdtEndPr", "w:tblPr", "w:tcPr", "w:instrText",
             "w:delText", "w:delInstrText", "w:rt"}  # fmt: skip
_UNITS = {"w:p", "w:tr", "w:altChunk", "w:del", "w:moveFrom", "mc:AlternateContent"}
_HEX = re.compile("[0-9A-Fa-f]{1,8}")
_TARGET = re.compile(r"HYPERLINK\s+(?:\\[a-z]\s+)*\"([^\"]+)\"")


def read(source: IO[bytes], out: Output) -> None:
    """Write the document."""
    package = Package(source, out)
    main = package.main(r"word/document\d*\.xml")
    if not main:
        out.refuse(BROKEN)
    _Document(package, main, out).write()


class _Document:
    def __init__(self, package: Package, main: str, out: Output) -> None:
        self._package = package
        self._main = main
        self._out = out
        self._folder = main.rpartition("/")[0]
        self.numbering = Numbering(package, self._folder)
        self.counts: Counter[str] = Counter()
        self._marked: set[str] = set()

    def write(self) -> None:
        """Write headers, body, notes, comments and footers once."""
        try:
            self._write_edges("header")
            blocks = _Blocks(self, self._package.relations(self._main))
            for piece in blocks.written(self._package.units(self._main, _UNITS, {"w:tbl"})):
                self._out.text(piece)
            for kind in ("footnote", "endnote"):
                for note, words in self._beside(kind):
                    mark = "e" * (kind == "endnote") + attribute(note, "id")
                    self._out.text(f"\n[^{mark}]: {words}\n" if words else "")
            for comment, words in self._beside("comment"):
                self.counts["comment"] += 1
                author = markdown.one_line(attribute(comment, "author"))
                by = f" by {author}" if author else ""
                self._out.text(f"\n[comment {attribute(comment, 'id')}{by}: {words}]\n")
            self._write_edges("footer")
        finally:
            self._tell()  # also of a text that ended because it is too long

    def _write_edges(self, kind: str) -> None:
        """Write the headers or footers, each text once.

        Sections repeat them, and the first page has its own.
        """
        seen: set[str] = set()
        for name in self._names(rf"{kind}\d*"):
            blocks = _Blocks(self, self._package.relations(name))
            words = "".join(blocks.written(self._package.units(name, _UNITS, {"w:tbl"}))).strip()
            if words and words not in seen:
                seen.add(words)
                self._out.text(f"[{kind}: {words}]\n\n" if "\n" not in words else f"[{kind}:]\n{words}\n\n")

    def _names(self, pattern: str) -> list[str]:
        full = re.compile(rf"{re.escape(self._folder)}/{pattern}\.xml", re.IGNORECASE)
        return sorted(filter(full.fullmatch, self._package.names), key=lambda name: (len(name), name))

    def _beside(self, kind: str) -> Iterator[tuple[Element, str]]:
        """Yield the notes or comments that stand beside the text, each with its words."""
        for name in self._names(f"{kind}s"):
            relations = self._package.relations(name)
            for _, element in self._package.units(name, {f"w:{kind}"}):
                if attribute(element, "type") not in {"separator", "continuationSeparator", "continuationNotice"}:
                    _choose(element)
                    yield element, _Blocks(self, relations).inside(element).strip()

    def mark_comment(self, comment: str) -> str:
        """Return the mark of a comment at its place, once.

        A comment has an end, a reference, or both.
        """
        if comment in self._marked:
            return ""
        self._marked.add(comment)
        return f"[comment {comment}]"

    def chunk(self, relation: Relation | None) -> str:
        """Return a document of another kind that this one includes.

        Word would merge it when it opens this one.
        """
        if relation is None or relation.external or relation.target not in self._package:
            return ""
        kind = relation.target.lower().rpartition(".")[2]
        if kind in {"html", "htm", "xhtml"}:
            return page.fragment(self._package.read(relation.target), self.counts)
        if kind in {"mht", "mhtml"}:
            from staging.llm._converter import mail  # noqa: PLC0415  # few documents have such a part

            mail.read(io.BytesIO(self._package.read(relation.target)), self._out)
            return "\n\n"
        self.counts["embedded document"] += 1
        return ""

    def graphics(self, relations: dict[str, Relation], element: Element) -> str:
        """Return the charts and diagrams of a drawing."""
        return "".join(drawing.graphics(self._package, relations, element))

    def _tell(self) -> None:
        counts = self.counts
        for what in ("comment", "embedded document"):
            if n := counts[what]:
                self._out.remark(f"{n:,} {what}{'s' * (n != 1)}" + (" not shown" if what != "comment" else ""))
        if n := counts["sign"]:
            self._out.remark(symbols.told(n))
        page.tell(counts, self._out)
        if n := counts["deleted"]:
            self._out.remark(f"{n:,} tracked deletion{'s' * (n != 1)} left out")


class _Blocks:
    """Turns paragraphs, rows and whatever holds them into Markdown."""

    def __init__(self, document: _Document, relations: dict[str, Relation]) -> None:
        self._document = document
        self._relations = relations
        self._in_list = False

    def written(self, units: Iterator[tuple[str, Element]]) -> Iterator[str]:
        """Yield the Markdown of a part's units.

        A row's table is known by its start and end.
        """
        table = _Rows()
        for event, element in units:
            _choose(element)
            if element.tag == "w:tbl":
                table = _Rows()
                yield self._between(in_list=False) + ("\n" if event == "end" else "")
            elif element.tag == "w:tr":
                yield table.line(self._cells(element))
            else:
                yield self._block(element)

    def inside(self, element: Element) -> str:
        """Return the Markdown of the blocks in an element."""
        return "".join(map(self._block, element))

    def _block(self, element: Element) -> str:
        tag = element.tag
        if tag == "w:p":
            return self._paragraph(element)
        if tag == "w:tbl":
            table = _Rows()
            return "\n" + "".join(table.line(self._cells(row)) for row in _flat(element, "w:tr")) + "\n"
        if tag == "w:altChunk":
            return self._document.chunk(self._relations.get(relation_id(element)))
        if tag in _LEFT_OUT:
            self._document.counts["deleted"] += tag in {"w:del", "w:moveFrom"}
            return ""
        return self.inside(element)

    def _paragraph(self, element: Element) -> str:
        inline = _Inline(self._document, self._relations, attribute(below(element, "w:pPr", "w:pStyle"), "val"))
        words = inline.words(element).strip("\n ")
        after = "".join(map(self.inside, inline.boxes)) + inline.graphics
        level, mark, depth = self._document.numbering.of(element)
        if not words:
            return after
        if level:
            return self._between(in_list=False) + markdown.heading(level, f"{mark} {words}" if mark else words) + after
        if mark:
            return self._between(in_list=True) + markdown.item(words, level=depth, mark=mark) + after
        return self._between(in_list=False) + words + "\n\n" + after

    def _between(self, *, in_list: bool) -> str:
        gap = "\n" if self._in_list and not in_list else ""
        self._in_list = in_list
        return gap

    def _cells(self, row: Element) -> list[str]:
        if below(row, "w:trPr", "w:del") is not None:
            self._document.counts["deleted"] += 1
            return []
        cells: list[str] = []
        for cell in _flat(row, "w:tc"):
            merged = next(cell.iter("w:vMerge"), None)
            covered = merged is not None and attribute(merged, "val", "continue") != "restart"
            cells.append("" if covered else self._cell(cell))
            span = attribute(next(cell.iter("w:gridSpan"), None), "val")
            cells += [""] * (min(int(span), markdown.MAX_COLUMNS) - 1 if span.isdecimal() else 0)
        return cells

    def _cell(self, cell: Element) -> str:
        blocks = _Blocks(self._document, self._relations)
        lines = []
        for block in cell:
            if block.tag == "w:tbl":  # Markdown has no table in a table: its rows become lines
                lines += ["; ".join(filter(None, blocks._cells(row))) for row in _flat(block, "w:tr")]  # its own class
            else:
                lines.append(blocks._block(block))  # its own class
        return "\n".join(line.strip() for line in lines if line.strip())


class _Rows:
    """A table that is written as its rows come."""

    def __init__(self) -> None:
        self._width = 0

    def line(self, cells: list[str]) -> str:
        """Return a row, with the first one as the head."""
        text = "| " + " | ".join(map(markdown.cell, [*cells, *[""] * (self._width - len(cells))])) + " |\n"
        if not self._width and cells:
            self._width = len(cells)
            text = "\n" + text + "|" + " --- |" * self._width + "\n"
        return text if cells else ""


def _flat(element: Element, tag: str) -> Iterator[Element]:
    """Yield the children of a kind.

    Those in content controls and tracked changes are among them. Those of a table inside are not.
    """
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag not in _LEFT_OUT and child.tag not in {"w:tbl", "w:tc", "w:p"}:
            yield from _flat(child, tag)


class _Inline:
    """The words of one paragraph."""

    def __init__(self, document: _Document, relations: dict[str, Relation], style: str) -> None:
        self._document = document
        self._relations = relations
        self._style = document.numbering.style(style)
        self._fields: list[dict[str, str]] = []  # the open fields, each with its instruction and where it stands
        self.boxes: list[Element] = []
        self.graphics = ""

    def words(self, element: Element) -> str:
        """Return the words of everything in an element."""
        return "".join(map(self._any, element))

    def _any(self, element: Element) -> str:  # noqa: PLR0911  # one line for each kind
        tag = element.tag
        if tag == "w:r":
            return self._run(element)
        if tag == "w:hyperlink":
            relation = self._relations.get(relation_id(element))
            words = self.words(element)
            return markdown.link(words, relation.target) if relation and relation.external else words
        if tag in {"m:oMath", "m:oMathPara"}:
            return equation(element)
        if tag == "w:fldSimple":
            found = _TARGET.search(attribute(element, "instr"))
            return markdown.link(self.words(element), found[1]) if found else self.words(element)
        if tag in {"w:del", "w:moveFrom"}:
            self._document.counts["deleted"] += any(True for _ in element.iter("w:delText"))
            return ""
        if tag == "w:commentRangeEnd":
            return self._document.mark_comment(attribute(element, "id"))
        if tag == "w:sdt":
            return self.words(element)
        return "" if tag in _LEFT_OUT else self.words(element)

    def _run(self, run: Element) -> str:
        properties = run.find("w:rPr")
        words = "".join(map(self._piece, run))
        style = self._document.numbering.style(attribute(below(properties, "w:rStyle"), "val"))
        if not words.isascii():
            font = font_of(properties) or style.font or self._style.font
            words = symbols.PRIVATE.sub(lambda found: self._sign(font, ord(found[0])), words)
        hidden = hidden_by(properties)
        if hidden is None:  # of two styles, one shows again what the other one hides (17.7.3)
            hidden = bool(style.hidden) != bool(self._style.hidden)
        if hidden or is_on(below(properties, "w:webHidden")):
            self._document.counts["hidden"] += len(words.strip())
            return ""
        struck = is_on(below(properties, "w:strike")) or is_on(below(properties, "w:dstrike"))
        return f"~~{words}~~" if struck and words.strip() else words

    def _sign(self, font: str, code: int) -> str:
        shown = symbols.sign(font, code)
        self._document.counts["sign"] += shown == symbols.UNKNOWN
        return shown

    def _piece(self, element: Element) -> str:  # noqa: C901, PLR0911  # one line for each kind
        tag = element.tag
        if tag == "w:fldChar":
            return self._field(element)
        if tag == "w:instrText" and self._fields and self._fields[-1]["at"] == "begin":
            self._fields[-1]["instruction"] += element.text or ""
        if any(field["at"] == "begin" for field in self._fields):
            return ""  # the instruction of a field, and fields within it, are not shown
        if tag == "w:t":
            return element.text or ""
        if tag in _BREAKS:
            return _BREAKS[tag]
        if tag == "w:sym":
            code = attribute(element, "char")
            return self._sign(attribute(element, "font"), int(code, 16) if _HEX.fullmatch(code) else -1)
        if tag == "w:commentReference":
            return self._document.mark_comment(attribute(element, "id"))
        if tag in {"w:footnoteReference", "w:endnoteReference"}:
            return f"[^{'e' * (tag == 'w:endnoteReference')}{attribute(element, 'id')}]"
        if tag in {"w:drawing", "w:pict", "w:object", "mc:AlternateContent"}:
            return self._drawing(element)
        if tag == "w:ruby":
            reading = "".join(t.text or "" for rt in element.iter("w:rt") for t in rt.iter("w:t"))
            base = "".join(t.text or "" for rb in element.iter("w:rubyBase") for t in rb.iter("w:t"))
            return f"{base}({reading})" if reading else base
        return "" if tag in _LEFT_OUT else "".join(map(self._piece, element))

    def _field(self, element: Element) -> str:
        """Follow a field from its instruction to its result (17.16.18).

        The result of a link field becomes a link.
        """
        kind = attribute(element, "fldCharType")
        if kind == "begin":
            self._fields.append({"at": "begin", "instruction": "", "form": _form_value(element)})
        elif kind == "separate" and self._fields:
            self._fields[-1]["at"] = "separate"
            return "[" if _TARGET.search(self._fields[-1]["instruction"]) else ""
        elif kind == "end" and self._fields:
            field = self._fields.pop()
            found = _TARGET.search(field["instruction"])
            if field["at"] == "begin":
                return field["form"] or symbols.of_field(field["instruction"])
            return f"]({markdown.one_line(found[1])})" if found else field["form"]
        return ""

    def _drawing(self, element: Element) -> str:
        """Return a picture's alternative text.

        Its text boxes and charts are kept for after the paragraph.
        """
        boxes = list(_outermost(element, "w:txbxContent"))
        self.boxes += boxes
        self.graphics += self._document.graphics(self._relations, element)
        alts = [drawing.alt_text(p) for tag in ("wp:docPr", "v:shape") for p in element.iter(tag)]
        alts += [attribute(p, "alt") for p in element.iter("v:shape")]
        alts += [attribute(p, "string") for p in element.iter("v:textpath")]
        has_picture = any(e.tag.rpartition(":")[2] in {"pic", "blip", "imagedata"} for e in element.iter())
        self._document.counts["picture"] += has_picture
        alt = next(filter(None, alts), "")
        return markdown.picture(alt or "picture") if has_picture or (alt and not boxes) else ""


def _choose(element: Element) -> None:
    """Take out what repeats the words of an element for older programs (part 3, 10.2.1)."""
    for alternative in list(element.iter("mc:AlternateContent")):
        choice = alternative.find("mc:Choice")
        for fallback in alternative.findall("mc:Fallback") if choice is not None and len(choice) else ():
            alternative.remove(fallback)


def _outermost(element: Element, tag: str) -> Iterator[Element]:
    for child in element:
        if child.tag == tag:
            yield child
        else:
            yield from _outermost(child, tag)


def _form_value(element: Element) -> str:
    """Return the state of an old form's check box or list (17.16.7, 17.16.9).

    A text field has its result as text.
    """
    for box in element.iter("w:checkBox"):
        state = box.find("w:checked")
        return "☒" if is_on(state if state is not None else box.find("w:default")) else "☐"
    for choices in element.iter("w:ddList"):
        entries = [attribute(entry, "val") for entry in choices.findall("w:listEntry")]
        chosen = attribute(choices.find("w:result"), "val", "0")
        return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""
    return ""
