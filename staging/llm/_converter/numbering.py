"""Count Word's headings and lists as Word does.

The source is ECMA-376 part 1, 17.7 and 17.9.
"""

import re
from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter.markdown import HEADING_STYLE
from staging.llm._converter.package import Package, attribute, below, is_on, number_of

LEVELS = 9
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


class _Level(NamedTuple):
    form: str = "bullet"
    text: str = ""
    start: int = 1


class _Style(NamedTuple):
    heading: int = 0
    number: str = ""
    level: int = 0
    based_on: str = ""
    font: str = ""
    hidden: bool | None = None  # whether its words are, where it says so


class Numbering:
    """Tells of each paragraph whether it is a heading or a list entry.

    It gives the number too. Paragraphs must come in their order.
    """

    def __init__(self, package: Package, folder: str) -> None:
        self._styles = {attribute(s, "styleId"): _style(s) for s in package.xml(f"{folder}/styles.xml").iter("w:style")}
        self.style = lru_cache(1000)(self._inherited)  # kept: a tenth of a second for 60,000 runs
        root = package.xml(f"{folder}/numbering.xml")
        abstract = {
            attribute(a, "abstractNumId"): dict(map(_level, a.findall("w:lvl"))) for a in root.findall("w:abstractNum")
        }
        self._lists: dict[str, tuple[str, dict[int, _Level]]] = {}
        self._restarts: set[tuple[str, int]] = set()  # lists and levels that do not go on with the numbers of others
        for number in root.findall("w:num"):
            of = attribute(number.find("w:abstractNumId"), "val")
            levels = dict(abstract.get(of, {}))
            for override in number.findall("w:lvlOverride"):
                levels.update(map(_level, override.findall("w:lvl")))
                at, start = number_of(override, "ilvl", -1), number_of(override.find("w:startOverride"), "val", -1)
                if at >= 0 <= start:
                    levels[at] = levels.get(at, _Level())._replace(start=start)
                    self._restarts.add((attribute(number, "numId"), at))
            self._lists[attribute(number, "numId")] = (of, levels)
        self._counters: defaultdict[str, list[int | None]] = defaultdict(lambda: [None] * LEVELS)

    def of(self, paragraph: Element) -> tuple[int, str, int]:
        """Return heading level, number and depth of a paragraph.

        The level is 0 if it is no heading. The number may be a bullet, or empty. The depth is that in the list.
        """
        properties = paragraph.find("w:pPr")
        if properties is None:
            return 0, "", 0
        style_id = attribute(properties.find("w:pStyle"), "val")
        style = self.style(style_id)
        outline = attribute(properties.find("w:outlineLvl"), "val")
        level = int(outline) + 1 if outline in set("012345678") else style.heading
        listed = properties.find("w:numPr")
        number = attribute(listed.find("w:numId"), "val") if listed is not None else ""
        depth = attribute(listed.find("w:ilvl"), "val") if listed is not None else ""
        number = number or style.number
        at = min(int(depth), LEVELS - 1) if depth.isdecimal() else style.level
        if not number or number == "0":
            bulleted = not level and re.match(r"list ?(bullet|number|paragraph)", style_id, re.IGNORECASE)
            return level, "-" if bulleted and "aragraph" not in style_id else "", 0
        return level, self._mark(number, at, heading=bool(level)), at

    def _inherited(self, style_id: str) -> _Style:
        """Return a style with what it inherits.

        A style without a description is known by its name.
        """
        heading, number, level, font = 0, "", 0, ""
        hidden: bool | None = None
        for _ in range(10):
            style = self._styles.get(style_id)
            if style is None:
                found = HEADING_STYLE.fullmatch(style_id.replace("-", ""))
                heading = heading or (int(found[1]) if found else int(style_id == "Title"))
                break
            heading, level = heading or style.heading, level or style.level
            number, font = number or style.number, font or style.font
            hidden = style.hidden if hidden is None else hidden
            style_id = style.based_on
            if not style_id:
                break
        return _Style(heading, number, level, font=font, hidden=hidden)

    def _mark(self, number: str, at: int, *, heading: bool) -> str:
        of, levels = self._lists.get(number, (f"?{number}", {}))
        level = levels.get(at, _Level())
        if level.form == "none" or (level.form != "bullet" and not level.text):
            return "" if heading else "-"
        if level.form == "bullet":
            return "" if heading else "-"
        counters = self._counters[of]
        if (number, at) in self._restarts:  # where the list is met first (17.9.27)
            self._restarts.remove((number, at))
            counters[at] = None
        counters[at] = (counters[at] if counters[at] is not None else level.start - 1) + 1  # type: ignore[operator]
        counters[at + 1 :] = [None] * (LEVELS - at - 1)

        def counted(found: re.Match[str]) -> str:
            n = int(found[1]) - 1
            other = levels.get(n, _Level("decimal"))
            value = counters[n] if n < LEVELS else None
            return numeral(other.start if value is None else value, other.form)

        return re.sub(r"%([1-9])", counted, level.text).strip() or "-"


def _style(style: Element) -> _Style:
    name = attribute(style.find("w:name"), "val")
    properties = style.find("w:pPr")
    found = HEADING_STYLE.fullmatch(name.strip())
    heading = int(found[1]) if found else int(name.lower() == "title")
    number, level = "", 0
    if properties is not None:
        outline = attribute(properties.find("w:outlineLvl"), "val")
        heading = heading or (int(outline) + 1 if outline in set("012345678") else 0)
        number = attribute(below(properties, "w:numPr", "w:numId"), "val")
        level = min(number_of(below(properties, "w:numPr", "w:ilvl"), "val", 0), LEVELS - 1)
    based_on, letters = attribute(style.find("w:basedOn"), "val"), style.find("w:rPr")
    return _Style(heading, number, level, based_on, font_of(letters), hidden_by(letters))


def hidden_by(properties: Element | None) -> bool | None:
    """Tell whether properties hide their words, or None where they do not say so (17.3.2.41)."""
    switch = below(properties, "w:vanish")
    return None if switch is None else is_on(switch)


def font_of(properties: Element | None) -> str:
    """Return the font of characters that are neither Asian nor written from right to left (17.3.2.26)."""
    fonts = below(properties, "w:rFonts")
    return attribute(fonts, "ascii") or attribute(fonts, "hAnsi")


def _level(element: Element) -> tuple[int, _Level]:
    form = attribute(element.find("w:numFmt"), "val", "decimal")
    text = attribute(element.find("w:lvlText"), "val")
    return number_of(element, "ilvl", 0), _Level(form, text, number_of(element.find("w:start"), "val", 1))


def numeral(value: int, form: str) -> str:
    """Return a number in the form of a list (ECMA-376 part 1, 17.18.59), in digits where it has none."""
    if form in {"lowerLetter", "upperLetter"} and value > 0:
        letters = chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1)
        return letters[:20].upper() if form == "upperLetter" else letters[:20]
    if form in {"lowerRoman", "upperRoman"} and 0 < value < 4000:
        roman = ""
        for worth, sign in _ROMAN:
            roman += sign * (value // worth)
            value %= worth
        return roman.upper() if form == "upperRoman" else roman
    return f"{value:02}" if form == "decimalZero" else str(value)
