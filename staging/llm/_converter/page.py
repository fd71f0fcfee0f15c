"""Read HTML as the Markdown of what a person sees.

The tree is selectolax's (lexbor), which builds it as browsers do.

Theory of operation. The tree is walked without recursion, since a page may nest to any depth. `_Writer` collects words
into a line, and lines into blocks. A cell of a table is a writer of its own. So its text can be put into a row, or be
written as it is where the table is only a layout. What a browser does not show is left out and counted.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import Element  # made here, nothing is parsed by it

from staging.llm._converter import markdown
from staging.llm._converter.detection import decoded
from staging.llm._converter.formulas import equation
from staging.llm._converter.hiding import NO_VEIL, Hiding
from staging.llm._converter.numbering import numeral
from staging.llm._converter.output import Output
from staging.llm._converter.page_table import GROUPS, Table, integer
from staging.llm._converter.xhtml import as_html, is_xhtml

# fmt: off
_INLINE = {
    "a", "abbr", "b", "bdi", "bdo", "big", "button", "cite", "code", "data", "del", "dfn", "em", "font", "i",
    "img", "input", "ins", "kbd", "label", "mark", "math", "meter", "output", "progress", "q", "rp", "rt",
    "ruby", "s", "samp", "small", "select", "span", "strike", "strong", "sub", "sup", "textarea", "time", "tt",
    "u", "var", "wbr", "tspan", "acronym", "map", "picture", "slot",
}
_SILENT = {
    "script", "style", "template", "head", "datalist", "-comment", "!doctype", "area", "param", "source",
    "track", "rp",
}
# fmt: on
_OF_TABLES = {"table", "tr", "td", "th", *GROUPS}
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}  # HTML, 4.4.5
_NO_TARGET = re.compile("(?:javascript|data|blob):", re.IGNORECASE)
_DEEPEST = 40  # tables within tables; each copies the text of those within


def read(source: IO[bytes], out: Output, declared: str = "") -> None:
    """Write a page with its title and what stands on it.

    Args:
        source: the page.
        out: takes its text.
        declared: the charset that the sender or the server named. Empty if none did.
    """
    text, remark = decoded(source.read(), declared)
    left_out: Counter[str] = Counter()
    page = _Page(text, left_out)
    out.remark(remark)
    if title := page.title():
        out.text(f"[title: {title}]\n\n")
    try:
        for block in page.blocks():
            out.text(block)
    finally:
        tell(left_out, out)


def fragment(data: bytes | str, left_out: Counter[str], *, xhtml: bool = False) -> str:
    """Return the Markdown of a page that is part of another document.

    Args:
        data: the page.
        left_out: takes what is left out, which the document tells by `tell`.
        xhtml: whether it is XML, although it may not say so.
    """
    page = _Page(data if isinstance(data, str) else decoded(data)[0], left_out, xhtml=xhtml)
    return "".join(page.blocks())


def tell(left_out: Counter[str], out: Output) -> None:
    """Say in the heading what was left out."""
    if n := left_out["hidden"]:
        out.remark(f"{n:,} characters of hidden text left out")
    if n := left_out["data"]:
        out.remark(f"{n:,} script{'s' * (n != 1)} of data left out")
    if n := left_out["picture"]:
        out.remark(f"{n:,} picture{'s' * (n != 1)} not shown")


class _Page:
    def __init__(self, text: str, left_out: Counter[str], *, xhtml: bool = False) -> None:
        from selectolax.lexbor import LexborHTMLParser, SelectolaxError  # noqa: PLC0415  # only with the extra

        try:
            self._tree: Any = LexborHTMLParser(as_html(text) if xhtml or is_xhtml(text) else text)
        except SelectolaxError:  # any page can be parsed, if there is memory
            raise MemoryError from None
        self._hiding = Hiding(style.text() for style in self._tree.css("style"))
        self._veils = [NO_VEIL]  # over the words of each open element
        self._left_out = left_out

    def title(self) -> str:
        """Return the page's title."""
        node = self._tree.css_first("title")
        return markdown.one_line(node.text()) if node else ""

    def blocks(self) -> Iterator[str]:
        """Yield the page's blocks as they are found."""
        writer = _Writer()
        node = self._tree.body or self._tree.root
        top = node.mem_id if node is not None else 0
        while node is not None:
            descend = self._enter(node, writer)
            child = node.child if descend else None
            if child is not None:
                node = child
                continue
            while node is not None:
                if descend:
                    writer.leave(node.tag)
                    self._veils.pop()
                descend = True
                if node.mem_id == top:
                    node = None
                elif node.next is not None:
                    node = node.next
                    break
                else:
                    node = node.parent
            if not writer.nested:
                yield from writer.taken()
        writer.end()
        yield from writer.taken()

    def _enter(self, node: Any, writer: "_Writer") -> bool:
        """Write what a node is, and tell whether its children come next."""
        tag = node.tag or ""
        if tag in {"-text", "#text"}:
            words = node.text_content or ""
            if self._veils[-1]:
                self._left_out["hidden"] += len(markdown.one_line(words))
            else:
                writer.words(words)
            return False
        attributes = node.attributes if tag not in _SILENT else {}
        if tag in _SILENT:
            self._left_out["data"] += tag == "script" and "json" in (node.attributes.get("type") or "")
            return False
        veils = self._hiding.veils(tag, attributes, self._veils[-1])
        if veils is None:
            self._left_out["hidden"] += len(markdown.one_line(node.text()))
            return False
        if tag == "iframe":
            writer.inline(_frame(attributes, self._left_out))
            return False
        if tag in _LEAVES:
            writer.inline(_LEAVES[tag](node, attributes))
            self._left_out["picture"] += tag in {"img", "canvas"}
            return False
        if "reversed" in attributes:  # it begins with the number of its entries (HTML, 4.4.5)
            attributes["start"] = attributes.get("start") or str(sum(child.tag == "li" for child in node.iter()))
        writer.enter(tag, attributes)
        self._veils.append(veils)
        return True


class _Writer:
    """Words into lines, lines into blocks."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._line: list[str] = []
        self._gap = False
        self._lists: list[_List] = []
        self._mark = ""
        self._links: list[tuple[str, int]] = []
        self._quotes = 0
        self._exact = 0
        self._tables: list[Table] = []
        self._deeper = 0  # open tables within the deepest that is one; their cells are paragraphs
        self._outer: list[_Saved] = []

    @property
    def nested(self) -> bool:
        """Tell whether a table is open whose rows wait for its end."""
        return bool(self._tables)

    def taken(self) -> list[str]:
        """Return the blocks that were finished since the last call."""
        done, self._done = self._done, []
        return done

    def words(self, text: str) -> None:
        """Add text, with its white space shown as one space."""
        if self._exact:
            self._line.append(text)
            return
        words = " ".join(text.split())
        if text[:1].isspace():
            self._gap = True
        if words:
            if self._gap and self._line and not self._line[-1].endswith(("\n", " ")):
                self._line.append(" ")
            self._line.append(words)
            self._gap = text[-1:].isspace()

    def inline(self, text: str) -> None:
        """Add something that is ready."""
        if text == "\n":
            self._line.append("\n")
            self._gap = False
        elif text:
            self.words(f" {text} " if text.startswith("![") else text)

    def enter(self, tag: str, attributes: dict[str, str | None]) -> None:  # noqa: C901  # one line for each kind
        """Begin an element."""
        if tag not in _INLINE:
            self._flush()
        if tag in {"ul", "menu", "ol", "dir"}:
            form, step = _FORMS.get(attributes.get("type") or "", ""), -1 if "reversed" in attributes else 1
            self._lists.append((integer(attributes.get("start"), 1), step, form) if tag == "ol" else None)
        elif tag == "li":
            self._mark = "-"
            if self._lists and (numbered := self._lists[-1]):
                number, (_, step, form) = integer(attributes.get("value"), numbered[0]), numbered
                is_other = number > 26 and form.endswith("Letter")  # Word has aa, bb and HTML has aa, ab
                self._mark = f"{numeral(number, '' if is_other else form)}."
                self._lists[-1] = number + step, step, form
        elif tag == "a":
            self._links.append((attributes.get("href") or "", len(self._line)))
        elif tag == "pre":
            self._exact += 1
        elif tag == "blockquote":
            self._quotes += 1
        elif tag in _OF_TABLES:
            self._enter_table(tag, attributes)
        elif tag in {"del", "s", "strike"}:
            self.words(" ~~" if self._gap else "~~")
            self._gap = False
        elif tag in _OPENING:
            self._line.append(_OPENING[tag])
        elif tag == "dd":
            self._mark = self._mark or ": "

    def leave(self, tag: str) -> None:  # noqa: C901  # one line for each kind
        """End an element."""
        if tag in _HEADINGS:
            self._gap = False
            self._end_link()
            self._done.append(markdown.heading(int(tag[1]), "".join(self._line)))
            self._line.clear()
        elif tag == "a" and self._links:
            self._end_link()
            self._links.pop()
        elif tag in _CLOSING:
            self._line.append(_CLOSING[tag])
        elif tag == "pre" and self._exact:
            self._end_exact()
        elif tag not in _INLINE:
            self._flush()
        if tag in {"ul", "menu", "ol", "dir"} and self._lists:
            self._lists.pop()
            self._done += [] if self._lists else ["\n"]
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
            self._done += [] if self._quotes else ["\n"]
        elif tag == "dl":
            self._done.append("\n")
        elif tag in {"li", "dd"}:
            self._mark = ""  # of one without words
        elif tag in _OF_TABLES:
            self._leave_table(tag)

    def end(self) -> None:
        """Write what is still open."""
        self._flush()
        while self._tables:
            self._leave_table("td")
            self._leave_table("table")

    def _flush(self) -> None:
        if self._exact:
            return
        self._end_link()
        text = "".join(self._line).strip()
        text = re.sub(r"[ \t]*\n[ \t]*", "\n", text)
        self._line.clear()
        self._gap = False
        if not text:
            return
        if self._mark == ": ":
            block = ": " + text + "\n"
        elif self._mark:
            block = markdown.item(text, level=max(0, len(self._lists) - 1), mark=self._mark)
        elif self._lists:
            block = "  " * min(12, len(self._lists)) + text + "\n"
        else:
            block = text + ("\n" if self._quotes else "\n\n")
        self._mark = ""
        self._done.append(markdown.quote(block) if self._quotes else block)

    def _end_exact(self) -> None:
        self._exact -= 1
        if self._exact:
            return
        text = "".join(self._line).strip("\n")
        self._line.clear()
        if text.strip():
            self._done.append(f"```\n{text}\n```\n\n" if "\n" in text or "  " in text else text + "\n\n")

    def _end_link(self) -> None:
        """Write the target of the open link at its first words, should it go on in another block."""
        if not self._links:
            return
        target, start = self._links[-1]
        text = "".join(self._line[start:])
        has_words = bool(text.strip())
        self._links[-1] = "" if has_words else target, 0
        target = markdown.one_line(target)
        if has_words and target and not target.startswith("#") and not _NO_TARGET.match(target):
            self._line[start:] = [" " * (text[:1] == " ") + markdown.link(text, target)]

    def _enter_table(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "table" and self._tables:
            self._tables[-1].has_table = True
        if self._deeper or (tag == "table" and len(self._tables) == _DEEPEST):
            self._deeper += tag == "table"
        elif tag == "table":
            self._tables.append(Table())
        elif self._tables and tag == "tr":
            self._tables[-1].rows.append([])
        elif self._tables and tag in GROUPS:
            self._tables[-1].begin_group()
        elif self._tables:
            self._tables[-1].begin_cell(attributes)
            self._outer.append((self._done, self._lists, self._quotes, self._mark))
            self._done, self._lists, self._quotes, self._mark = [], [], 0, ""

    def _leave_table(self, tag: str) -> None:
        if self._deeper or not self._tables:
            self._deeper -= bool(self._deeper) and tag == "table"
            return
        table = self._tables[-1]
        if tag in {"td", "th"} and table.open_cells:
            text = re.sub(r"\n{3,}", "\n\n", "".join(self._done).strip())
            self._done, self._lists, self._quotes, self._mark = self._outer.pop()
            table.end_cell(text)
        elif tag in GROUPS:
            table.end_group(tag)
        elif tag == "table":
            self._tables.pop()
            self._done += table.blocks()


_List = tuple[int, int, str] | None  # the next number, what is added to it, and its form; None for bullets
_Saved = tuple[list[str], list[_List], int, str]


_HEADINGS = {f"h{n}" for n in range(1, 7)}
_OPENING = {"sup": "^", "sub": "_", "rt": "("}
_CLOSING = {"del": "~~", "s": "~~", "strike": "~~", "rt": ")"}


def _entry(text: str) -> str:
    """Return what stands in a field of a form."""
    return f" [{text}] " if text else ""


def _input(_: Any, attributes: dict[str, str | None]) -> str:
    kind = (attributes.get("type") or "text").lower()
    if kind in {"checkbox", "radio"}:
        return " ☒ " if "checked" in attributes else " ☐ "
    if kind == "password":
        return ""
    return _entry(markdown.one_line(attributes.get("value") or attributes.get("alt") or ""))


def _select(node: Any, _: dict[str, str | None]) -> str:
    options = node.css("option")
    chosen = [option for option in options if "selected" in option.attributes] or options[:1]
    return f" [{', '.join(markdown.one_line(option.text()) for option in chosen)}] " if chosen else ""


def _frame(attributes: dict[str, str | None], left_out: Counter[str]) -> str:
    inside = fragment(attributes.get("srcdoc") or "", left_out)
    source = markdown.one_line(attributes.get("src") or "")
    return inside or (f"[frame: {source}]" if source and source != "about:blank" else "")


def _element(node: Any, depth: int) -> Element:
    """Return MathML as an element tree, no deeper than formulas are."""
    element = Element(f"math:{node.tag}")
    child = node.child if depth < 60 else None
    while child is not None:
        if child.tag in {"-text", "#text"}:
            element.text = (element.text or "") + (child.text_content or "").strip()
        else:
            element.append(_element(child, depth + 1))
        child = child.next
    return element


_LEAVES: dict[str, Any] = {
    "img": lambda _, a: markdown.picture(markdown.one_line(a.get("alt") or a.get("title") or "")),
    "input": _input, "select": _select, "textarea": lambda node, _: _entry((node.text() or "").strip()),
    "math": lambda node, _: equation(_element(node, 0)),
    "br": lambda *_: "\n", "hr": lambda *_: "\n", "canvas": lambda *_: "", "video": lambda *_: "",
    "audio": lambda *_: "",
}  # fmt: skip
