"""Read workbooks (xlsx, xlsm, xltx) as every sheet's cells are shown.

The source is ECMA-376 part 1, 18.

The rows are parsed as they come and written at once, so memory does not grow with the file (openpyxl takes some fifty
times its size). Comments, number formats, hidden sheets and formulas without a value are read from the parts
themselves.
"""

import re
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter import drawing, formats, markdown
from staging.llm._converter.output import BROKEN, Output
from staging.llm._converter.package import Package, Relation, attribute, relation_id
from staging.llm._converter.rows import SheetWriter, Strings, Title, column, column_number

_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_CONTROLS = re.compile(r"[\0-\x08\x0b-\x1f]")
_BESIDE = {"s:cols", "s:mergeCells", "s:hyperlinks"}


def read(source: IO[bytes], out: Output) -> None:
    """Write the workbook."""
    package = Package(source, out)
    main = package.main(r"xl/[^/]*workbook\.xml")
    if not main:
        out.refuse(BROKEN)
    _Workbook(package, main, out).write()


class _Workbook:
    def __init__(self, package: Package, main: str, out: Output) -> None:
        self._package = package
        self._out = out
        self._relations = package.relations(main)
        root = package.xml(main)
        self._sheets = list(root.iter("s:sheet"))
        self._since_1904 = any(attribute(p, "date1904") in {"1", "true"} for p in root.iter("s:workbookPr"))
        self._formats = _number_formats(package.xml(self._part("styles", "xl/styles.xml")))
        self._strings = Strings()
        for _, element in package.units(self._part("sharedStrings", "xl/sharedStrings.xml"), {"s:si"}):
            self._strings.add(_string(element))

    def _part(self, kind: str, usual: str) -> str:
        return next((r.target for r in self._relations.values() if r.kind == kind), usual)

    def write(self) -> None:
        """Write every sheet, and after its rows what is said about cells."""
        titles = [
            Title(_plain(attribute(s, "name")), attribute(s, "state") in {"hidden", "veryHidden"}) for s in self._sheets
        ]
        writer = SheetWriter(self._out, titles)
        for at, (sheet, title) in enumerate(zip(self._sheets, titles, strict=True), 1):
            relation = self._relations.get(relation_id(sheet))
            part = relation.target if relation else f"xl/worksheets/sheet{at}.xml"
            if part not in self._package:
                continue
            beside: list[Element] = []
            hidden: list[int] = []
            writer.sheet(title, self._rows(part, beside, hidden))
            writer.hidden("rows", hidden)
            writer.told(self._told(part, beside))
            writer.remark("")

    def _rows(self, part: str, beside: list[Element], hidden: list[int]) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows, and collect what stands beside them."""
        number = 0
        masters: dict[str, str] = {}
        for _, element in self._package.units(part, {"s:row", *_BESIDE}):
            if element.tag in _BESIDE:
                beside.append(element)
                continue
            told = attribute(element, "r")
            number = int(told) if told.isdecimal() else number + 1
            if cells := self._cells(element, masters):
                hidden += [number] * (element.get("hidden") in {"1", "true"})
                yield number, cells

    def _cells(self, row: Element, masters: dict[str, str]) -> list[str]:
        cells: list[str] = []
        for cell in row:
            text = self._shown(cell, masters)
            at = column_number(cell.get("r", "")) or len(cells) + 1
            if text:
                cells += [""] * (at - 1 - len(cells))
                cells.append(text)
        return cells

    def _shown(self, cell: Element, masters: dict[str, str]) -> str:
        kind = cell.get("t", "n")
        value = formula = None
        for child in cell:
            if child.tag == "s:v":
                value = child.text
            elif child.tag == "s:f":
                formula = self._formula(child, masters)
            elif child.tag == "s:is":
                value = _string(child)
        if value is None or (value == "" and formula):
            return f"={formula}" if formula else ""
        if kind == "s":
            return self._strings[int(value)] if value.isdecimal() else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind != "n":
            return _plain(value) if kind == "str" else value
        try:
            number = float(value)
        except ValueError:
            return value
        style = cell.get("s", "0")
        code = self._formats[int(style)] if style.isdecimal() and int(style) < len(self._formats) else ""
        return formats.shown(number, code, since_1904=self._since_1904)

    def _formula(self, element: Element, masters: dict[str, str]) -> str:
        """Return a formula.

        A shared formula is written once in the file, at the first of its cells.
        """
        text, shared = element.text or "", element.get("si", "")
        if text and shared:
            masters[shared] = f"{text} [filled over {element.get('ref', 'its area')}]"
        return text or masters.get(shared, "")

    def _told(self, part: str, beside: list[Element]) -> Iterator[str]:
        relations = self._package.relations(part)
        for element in beside:
            for child in element:
                place = attribute(child, "ref")
                if child.tag == "s:col" and child.get("hidden") in {"1", "true"}:
                    ends = dict.fromkeys(attribute(child, end, "0") for end in ("min", "max"))
                    yield f"[hidden columns: {' to '.join(column(int(end)) for end in ends if end.isdecimal())}]"
                elif child.tag == "s:mergeCell":
                    yield f"[merged: {place}]"
                elif relation := relations.get(relation_id(child)):
                    yield f"[link {place}: {markdown.one_line(relation.target)}]"
        comments = [r.target for r in relations.values() if r.kind == "comments"]
        threads = [r.target for r in relations.values() if r.kind == "threadedComment"]
        for target in comments + threads:
            yield from self._comments(target, threaded=bool(threads))
        for relation in relations.values():
            if relation.kind == "drawing":
                yield from self._drawing(relation)

    def _comments(self, target: str, *, threaded: bool) -> Iterator[str]:
        root = self._package.xml(target)
        authors = [_plain(author.text or "") for author in root.iter("s:author")]
        found = [*root.iter("s:comment"), *(e for e in root if e.tag.endswith("threadedComment"))]
        for comment in found:
            words = markdown.one_line(_plain("".join(comment.itertext())))
            if threaded and words.startswith("[Threaded comment]"):
                continue  # the same again, for older programs
            author = attribute(comment, "authorId")
            by = f" by {authors[int(author)]}" if author.isdecimal() and int(author) < len(authors) else ""
            yield f"[comment {attribute(comment, 'ref')}{by}: {words}]"

    def _drawing(self, relation: Relation) -> Iterator[str]:
        root = self._package.xml(relation.target)
        for element in root.iter():
            name = element.tag.rpartition(":")[2]
            if name == "sp" and (words := drawing.paragraph_words(element)):
                yield f"[text box: {words}]"
            elif name == "pic":
                alts = [drawing.alt_text(p) for p in element.iter() if p.tag.rpartition(":")[2] == "cNvPr"]
                yield markdown.picture(next(filter(None, alts), "picture"))
        yield from drawing.graphics(self._package, self._package.relations(relation.target), root)


def _string(element: Element) -> str:
    """Return a string of runs, without how it is read aloud (18.4.6)."""
    if len(element) == 1 and element[0].tag == "s:t":
        return _plain(element[0].text or "")
    return "".join(_plain(t.text or "") for child in element if child.tag != "s:rPh" for t in child.iter("s:t"))


def _plain(text: str) -> str:
    """Decode the escapes of characters that XML does not take (22.9.2.19).

    Of controls, only ends of lines and tabs are kept.
    """
    if "_x" not in text:
        return text
    decoded = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return _CONTROLS.sub("", decoded.replace("\r\n", "\n").replace("\r", "\n"))


def _number_formats(styles: Element) -> list[str]:
    own = {attribute(f, "numFmtId"): attribute(f, "formatCode") for f in styles.iter("s:numFmt")}
    found: list[str] = []
    for formats_of_cells in styles.iter("s:cellXfs"):
        for cell in formats_of_cells:
            number = attribute(cell, "numFmtId", "0")
            found.append(own.get(number) or formats.BUILT_IN.get(int(number) if number.isdecimal() else 0, ""))
    return found
