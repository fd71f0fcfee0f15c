"""Read what the styles of OpenDocument files say (ODF 1.3, part 3)."""

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter.package import Package, attribute, number_of


class _Letters(NamedTuple):
    """Holds what a style says of letters, as far as it does.

    Attributes:
        parent: the style that says the rest.
        display: `none` if it hides them.
        font: the name of their font.
    """

    parent: str
    display: str
    font: str


class Styles:
    """Tells by their names what styles do to words, lists and pages."""

    def __init__(self, package: Package) -> None:
        self.starts: dict[tuple[str, int], int] = {}  # of the levels of lists that are numbered
        self.hidden_pages: set[str] = set()  # and sheets
        self._letters: dict[str, _Letters] = {}
        self._fonts: dict[str, str] = {}  # by the names that styles give them
        for name in ("styles.xml", "content.xml"):
            for _, style in package.units(name, {"style:style", "style:font-face", "text:list-style"}, {"office:body"}):
                if style.tag == "office:body":
                    break
                self._add(style, attribute(style, "name"))

    def _add(self, style: Element, name: str) -> None:
        if style.tag == "style:font-face":
            self._fonts[name] = attribute(style, "font-family")
            return
        for level in style.findall("text:list-level-style-number"):
            self.starts[name, number_of(level, "level", 1) - 1] = number_of(level, "start-value", 1)
        if any(
            attribute(child, "visibility") == "hidden" or attribute(child, "display") == "false"
            for child in style
            if child.tag in {"style:drawing-page-properties", "style:table-properties"}
        ):
            self.hidden_pages.add(name)
        if attribute(style, "family", "text") in {"text", "paragraph"}:
            letters = style.find("style:text-properties")
            font = attribute(letters, "font-name")
            font = self._fonts.get(font, font) or attribute(letters, "font-family")
            parent = attribute(style, "parent-style-name")
            self._letters[name] = _Letters(parent, attribute(letters, "display"), font.strip("'").lower())

    def hides(self, element: Element) -> bool:
        """Tell whether the words of a paragraph or span are hidden by its style."""
        return next((style.display for style in self._of(element) if style.display), "") == "none"

    def font(self, element: Element) -> str:
        """Return the font of a paragraph or span, if its style tells."""
        return next((style.font for style in self._of(element) if style.font), "")

    def _of(self, element: Element) -> Iterator[_Letters]:
        """Yield the style of a paragraph or span, and those above it."""
        name = attribute(element, "style-name")
        for _ in range(10):
            if name not in self._letters:
                return
            yield self._letters[name]
            name = self._letters[name].parent
