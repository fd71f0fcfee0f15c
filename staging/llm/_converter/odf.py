"""Read OpenDocument files (ODF 1.3, part 3).

Text, presentations and drawings become Markdown. Spreadsheets become CSV.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter import markdown, symbols
from staging.llm._converter.formulas import equation
from staging.llm._converter.odf_styles import Styles
from staging.llm._converter.output import BROKEN, ENCRYPTED, Output
from staging.llm._converter.package import Package, attribute, number_of
from staging.llm._converter.rows import SheetWriter, Title, column

_REPEATS = 1000  # how often an equal cell or row with content is written
_MAX_COLUMNS = 16_384
_VALUES = ("string-", "date-", "time-", "boolean-", "")
_IN_SHEETS = {"table:table-row", "table:table-column", "table:shapes"}
_SKIPPED = {
    "text:tracked-changes", "text:sequence-decls", "text:variable-decls", "text:user-field-decls",
    "office:forms", "text:table-of-content-source", "text:alphabetical-index-source", "svg:title", "svg:desc",
    "office:scripts", "text:hidden-text", "text:ruby-text", "presentation:footer-decl",
    "presentation:date-time-decl", "table:calculation-settings", "table:named-expressions",
    "table:database-ranges", "table:dde-links", "text:change", "text:change-start", "text:change-end",
    "text:bibliography-source",
}  # fmt: skip
_UNITS = {
    "text:p", "text:h", "text:list", "table:table", "draw:page", "text:section", "text:table-of-content",
    "draw:frame", "draw:custom-shape", "text:alphabetical-index", "text:illustration-index",
    "text:tracked-changes",
}  # fmt: skip


def read(source: IO[bytes], out: Output) -> None:
    """Write the document."""
    package = Package(source, out)
    if "content.xml" not in package:
        out.refuse(BROKEN)
    if any(True for _ in package.xml("META-INF/manifest.xml").iter("manifest:encryption-data")):
        out.refuse(ENCRYPTED)
    document = _Document(package)
    if b"spreadsheet" in (package.read("mimetype") if "mimetype" in package else b""):
        _write_sheets(package, document, out)
        return
    try:
        for kind, words in document.edges("header"):
            out.text(f"[{kind}: {words}]\n\n")
        for _, element in package.units("content.xml", _UNITS):
            out.text(document.block(element))
        for note in document.notes:
            out.text(note)
        for kind, words in document.edges("footer"):
            out.text(f"[{kind}: {words}]\n\n")
    finally:
        for told in document.told():
            out.remark(told)


class _Document:
    def __init__(self, package: Package) -> None:
        self._package = package
        self._page_styles = package.xml("styles.xml")
        self._styles = Styles(package)
        self.notes: list[str] = []
        self.counts: Counter[str] = Counter()
        self._page = 0
        self._last_lists: dict[str, dict[int, int]] = {}  # the counters of the last list of each style, by depth
        self._named_lists: dict[str, dict[int, int]] = {}

    def is_hidden(self, element: Element) -> bool:
        """Tell whether a slide or sheet is hidden from its reader."""
        return attribute(element, "style-name") in self._styles.hidden_pages

    def edges(self, kind: str) -> Iterator[tuple[str, str]]:
        """Yield the headers or footers of the page styles, each text once."""
        seen: set[str] = set()
        for element in self._page_styles.iter():
            if element.tag.startswith(f"style:{kind}") and not element.tag.endswith(("style", "properties")):
                words = markdown.one_line("".join(map(self.block, element)))
                if words and words not in seen:
                    seen.add(words)
                    yield kind, words

    def told(self) -> Iterator[str]:
        """Yield in words what the heading must tell.

        It is what was left out, or stands beside the text.
        """
        for what in ("comment", "picture", "embedded object", "hidden slide"):
            if n := self.counts[what]:
                yield f"{n:,} {what}{'s' * (n != 1)}" + (" not shown" if what in {"picture", "embedded object"} else "")
        if n := self.counts["sign"]:
            yield symbols.told(n)
        if n := self.counts["hidden"]:
            yield f"{n:,} characters of hidden text left out"
        if n := self.counts["deleted"]:
            yield f"{n:,} tracked deletion{'s' * (n != 1)} left out"

    def block(self, element: Element) -> str:  # noqa: C901, PLR0911  # one line for each kind
        """Return a block as Markdown."""
        tag = element.tag
        if tag == "text:tracked-changes":
            self.counts["deleted"] += sum(e.tag == "text:deletion" for e in element.iter())
        if tag in _SKIPPED:
            return ""
        if tag in {"text:p", "text:h"}:
            return self._paragraph(element)
        if tag == "text:section" and _is_hidden(element):
            return self._left_out(element)
        if tag == "text:list":
            return self._counted(element)
        if tag == "table:table":
            return "".join(markdown.rows(self._table(element)))
        if tag == "draw:page":
            return self._slide(element)
        if tag == "presentation:notes":
            words = "".join(self.block(child) for child in element if child.tag != "draw:page-thumbnail").strip()
            return f"[notes: {words}]\n\n" if words else ""
        if tag == "draw:frame":
            return self._frame(element) + "\n\n"
        if tag == "office:annotation":
            return self._comment(element) + "\n\n"
        return "".join(map(self.block, element))

    def _slide(self, page: Element) -> str:
        self._page += 1
        hidden = self.is_hidden(page)
        self.counts["hidden slide"] += hidden
        titles = [frame for frame in page if attribute(frame, "class") == "title"]
        name = markdown.one_line(" ".join(map(self.block, titles)))
        if not name and not _USUAL_NAME.fullmatch(attribute(page, "name")):
            name = markdown.one_line(attribute(page, "name"))
        head = f"\n## Slide {self._page}{' (hidden)' if hidden else ''}{': ' * bool(name)}{name}\n\n"
        return head + re.sub("\n{3,}", "\n\n", "".join(self.block(child) for child in page if child not in titles))

    def _paragraph(self, element: Element) -> str:
        boxes: list[str] = []
        if self._styles.hides(element) or any(map(_is_hidden, element.iter("text:hidden-paragraph"))):
            return self._left_out(element)
        words = self._signs(element, self._words(element, boxes).strip("\n "))
        words, unknown = symbols.PRIVATE.subn(symbols.UNKNOWN, words)
        self.counts["sign"] += unknown
        after = "".join(boxes)
        if not words:
            return after
        if element.tag == "text:h":
            level = attribute(element, "outline-level", "1")
            return markdown.heading(int(level) if level.isdecimal() else 1, words) + after
        return words + "\n\n" + after

    def _signs(self, element: Element, words: str) -> str:
        """Return words with the signs of their font, if it is the element's."""
        font = "" if words.isascii() else self._styles.font(element)
        if font not in symbols.FONTS:
            return words
        return symbols.PRIVATE.sub(lambda found: symbols.sign(font, ord(found[0])), words)

    def _left_out(self, element: Element) -> str:
        """Count the words of what is hidden."""
        self.counts["hidden"] += len(markdown.one_line("".join(element.itertext())))
        return ""

    def _counted(self, element: Element) -> str:
        """Return a list, which may go on with the numbers of another one."""
        style, name = attribute(element, "style-name"), attribute(element, "id")
        counters = self._named_lists.get(attribute(element, "continue-list"))
        if counters is None:
            continues = attribute(element, "continue-numbering") == "true"
            counters = self._last_lists.get(style, {}) if continues else {}
        self._last_lists[style] = counters
        if name:
            self._named_lists[name] = counters
        return self._list(element, style, counters, 0) + "\n"

    def _list(self, element: Element, style: str, counters: dict[int, int], depth: int) -> str:
        """Return a list in which each depth has its counter."""
        found: list[str] = []
        start = self._styles.starts.get((style, depth))
        for entry in element:
            if entry.tag not in {"text:list-item", "text:list-header"}:
                continue
            # an entry that begins with a list goes on with the entry before it
            if entry.tag == "text:list-item" and [child.tag for child in entry[:1]] != ["text:list"]:
                count = counters.get(depth, 0 if start is None else start - 1) + 1
                counters[depth] = number_of(entry, "start-value", count)
                for inner in [at for at in counters if at > depth]:
                    del counters[inner]
            mark = "-" if start is None or entry.tag == "text:list-header" else f"{counters.get(depth, start)}."
            for child in entry:
                if child.tag == "text:list":
                    found.append(self._list(child, attribute(child, "style-name") or style, counters, depth + 1))
                elif text := self.block(child).strip():
                    found.append(markdown.item(text, level=depth, mark=mark))
        return "".join(found)

    def _table(self, element: Element) -> Iterator[list[str]]:
        for row in _rows(element):
            cells: list[str] = []
            for cell in row:
                if cell.tag not in {"table:table-cell", "table:covered-table-cell"}:
                    continue
                text = "" if "covered" in cell.tag else "\n".join(self.block(b).strip() for b in cell)
                cells += [text] * _repeats(cell, "number-columns-repeated", 1 if text else markdown.MAX_COLUMNS)
            if any(cells):
                yield cells

    def cell_text(self, cell: Element) -> tuple[str, list[str]]:
        """Return what a spreadsheet's cell shows, and its comments."""
        comments = [self._comment(e) for e in cell if e.tag == "office:annotation"]
        shapes = {"office:annotation", "draw:frame", "table:shapes"}
        text = "\n".join(self._words(e, []) for e in cell if e.tag not in shapes)
        if not text.strip():  # programs other than Calc write the value alone
            text = next(filter(None, (attribute(cell, f"{kind}value") for kind in _VALUES)), "")
            text = text.upper() if text == attribute(cell, "boolean-value") else text
        if not text.strip() and (formula := attribute(cell, "formula")):
            return "=" + formula.partition("=")[2], comments
        return text, comments

    def _words(self, element: Element, boxes: list[str]) -> str:
        found = [element.text or ""]
        for child in element:
            found.append(self._inline(child, boxes))
            found.append(child.tail or "")
        return "".join(found)

    def _inline(self, element: Element, boxes: list[str]) -> str:  # noqa: C901, PLR0911  # one line for each kind
        tag = element.tag
        if tag == "text:s":
            count = attribute(element, "c", "1")
            return " " * (min(int(count), 500) if count.isdecimal() else 1)
        if tag in {"text:tab", "text:line-break"}:
            return "\t" if tag == "text:tab" else "\n"
        if tag == "text:note":
            return self._note(element)
        if tag == "office:annotation":
            return self._comment(element)
        if tag == "text:a":
            return markdown.link(self._words(element, boxes), attribute(element, "href"))
        if tag == "draw:frame":
            return self._frame(element, boxes)
        if tag == "text:hidden-text":
            words = attribute(element, "string-value")
            if attribute(element, "is-hidden") == "false":
                return words
            self.counts["hidden"] += len(words)
        if tag in _SKIPPED:
            return ""
        if self._styles.hides(element):
            return self._left_out(element)
        if tag.startswith("draw:"):
            boxes += [self.block(child) for child in element]
            return ""
        return self._signs(element, self._words(element, boxes))

    def _note(self, element: Element) -> str:
        citation = next(
            (markdown.one_line("".join(e.itertext())) for e in element if e.tag == "text:note-citation"), ""
        )
        mark = ("e" if attribute(element, "note-class") == "endnote" else "") + (citation or str(len(self.notes) + 1))
        body = "".join("".join(map(self.block, e)) for e in element if e.tag == "text:note-body").strip()
        self.notes.append(f"\n[^{mark}]: {body}\n")
        return f"[^{mark}]"

    def _comment(self, element: Element) -> str:
        self.counts["comment"] += 1
        author = next((e.text or "" for e in element if e.tag == "dc:creator"), "")
        words = markdown.one_line(" ".join("".join(self.block(e)) for e in element if e.tag.startswith("text:")))
        return f"[comment{' by ' + author if author else ''}: {words}]"

    def _frame(self, element: Element, boxes: list[str] | None = None) -> str:  # noqa: PLR0911  # for each kind, one
        """Return the text of a picture, an equation or a text box.

        The words of a text box come after their paragraph.
        """
        title = " ".join("".join(e.itertext()).strip() for e in element if e.tag in {"svg:title", "svg:desc"})
        for child in element:
            if child.tag == "draw:text-box":
                words = "".join(map(self.block, child))
                if boxes is None:
                    return words
                boxes.append(words)
                return ""
            if child.tag == "draw:object":
                root = self._package.xml(attribute(child, "href").lstrip("./") + "/content.xml")
                if root.tag.rpartition(":")[2] == "math":
                    return equation(root)
                if (table := next(root.iter("table:table"), None)) is not None:
                    return "[chart]\n" + "".join(markdown.rows(self._table(table)))
                self.counts["embedded object"] += 1
                return f"[embedded object{': ' + title if title else ''}]"
            if child.tag == "draw:image":
                self.counts["picture"] += 1
                return markdown.picture(title or "picture")
            if child.tag == "table:table":
                return "".join(markdown.rows(self._table(child)))
        return markdown.picture(title)


_USUAL_NAME = re.compile(r"(?:page|slide|seite|dia)\s*\d+", re.IGNORECASE)


def _is_hidden(element: Element) -> bool:
    """Tell whether a section is hidden, or a field hides its paragraph, by the condition's last result."""
    return attribute(element, "display") == "none" or attribute(element, "is-hidden") == "true"


def _rows(table: Element) -> Iterator[Element]:
    for child in table:
        if child.tag == "table:table-row":
            yield child
        elif child.tag in {"table:table-header-rows", "table:table-rows", "table:table-row-group"}:
            yield from _rows(child)


def _repeats(element: Element, name: str, most: int) -> int:
    return max(1, min(number_of(element, name, 1), most))


def _write_sheets(package: Package, document: _Document, out: Output) -> None:
    titles = [
        Title(attribute(sheet, "name"), document.is_hidden(sheet))
        for event, sheet in package.units("content.xml", _IN_SHEETS, {"table:table"})
        if event == "start"
    ]
    writer = SheetWriter(out, titles)
    units = package.units("content.xml", _IN_SHEETS, {"table:table"})
    remaining = iter(titles)
    for event, element in units:
        if event == "start":
            told: list[str] = []
            hidden: dict[str, list[int]] = {"rows": [], "columns": []}
            writer.sheet(next(remaining), _sheet_rows(units, document, told, hidden))
            for what, numbers in hidden.items():
                writer.hidden(what, numbers)
            for line in told:
                writer.remark(line)
            writer.remark("")
        del element


def _sheet_rows(
    units: Iterator[tuple[str, Element]], document: _Document, told: list[str], hidden: dict[str, list[int]]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows up to the end of the sheet."""
    number = columns = 0
    for event, row in units:
        if row.tag == "table:table" and event == "end":
            return
        if row.tag == "table:shapes":
            told += [line for line in [markdown.one_line(document.block(row))] if line]
            continue
        seen = attribute(row, "visibility", "visible") == "visible"
        if row.tag == "table:table-column":
            count = _repeats(row, "number-columns-repeated", _MAX_COLUMNS)
            hidden["columns"] += range(columns + 1, columns + 1 + count * (not seen))
            columns += count
            continue
        cells = _sheet_cells(row, number + 1, document, told)
        count = _repeats(row, "number-rows-repeated", 1_048_576)
        shown = min(count, _REPEATS) if cells else 0
        hidden["rows"] += range(number + 1, number + 1 + shown * (not seen))
        for again in range(shown):
            yield number + again + 1, cells
        number += count
        if 0 < shown < count:
            last = number - count + shown
            told.append(f"[rows {last + 1:,} to {number:,} are the same as row {last:,}]")


def _sheet_cells(row: Element, number: int, document: _Document, told: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row:
        text, comments = document.cell_text(cell)
        told += comments
        count = _repeats(cell, "number-columns-repeated", _MAX_COLUMNS - len(cells))
        cells += [text] * min(count, _REPEATS)
        if count > _REPEATS:  # the cells behind stay in their columns
            same, last = column(len(cells)), len(cells) + count - _REPEATS
            if text:
                told.append(f"[row {number:,}: {column(len(cells) + 1)} to {column(last)} are the same as {same}]")
            cells += [""] * (count - _REPEATS)
    while cells and not cells[-1]:
        cells.pop()
    return cells
