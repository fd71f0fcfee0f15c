"""Tell what of a page a browser does not show.

Theory of operation. An element may be hidden with all that is in it. Or its words cannot be seen, since they have no
size or the colour of what is behind them. That is a veil. Elements within inherit it, and each may lift it: wrappers
of mails have no size, so that no gaps appear between their columns.
"""

import re
from collections.abc import Iterable, Iterator

_HIDING = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|(?:opacity|max-height):0*(?:0|\.0+)(?![\d.])"
    r"|text-indent:-\d{3,}|(?:left|top|margin-left):-(?:999|\d{4,})|clip:rect\(\s*[01]"
)
_HIDING_RULE = re.compile(r"(?<![\w-])(?:display\s*:\s*none|visibility\s*:\s*hidden)")
_SIZE = re.compile(  # of letters, with those units that do not multiply what is inherited (CSS Fonts 4, 2.5)
    r"(?:^|\s)(?:(?P<none>0*(?:0|\.0+)(?:[a-z]+|%)?)|[\d.]+(?:px|pt|pc|cm|mm|in|q|rem|v[a-z]+)"
    r"|(?:xx?-)?small|medium|(?:x{1,3}-)?large)(?=[\s/]|$)"
)
_NO_COLORS = {None, "", "inherit", "initial", "unset"}
_MAX_STYLE = 200_000  # characters of a style sheet that are looked through
NO_VEIL: frozenset[str] = frozenset()


class Hiding:
    """Knows what the style sheets of a page hide.

    Args:
        sheets: their texts.
    """

    def __init__(self, sheets: Iterable[str]) -> None:
        self._selectors = {selector for sheet in sheets for selector in _hidden_by(sheet)}

    def veils(self, tag: str, attributes: dict[str, str | None], inherited: frozenset[str]) -> frozenset[str] | None:
        """Return the veils over an element's words, None if all that is in it is hidden."""
        closed = tag == "dialog" and "open" not in attributes
        if closed or "hidden" in attributes or (tag == "input" and attributes.get("type") == "hidden"):
            return None
        marks = [f".{name}" for name in (attributes.get("class") or "").split()] + [f"#{attributes.get('id')}"]
        if not self._selectors.isdisjoint([*marks, *(tag + mark for mark in marks)]):
            return None
        parts = (part.partition(":") for part in (attributes.get("style") or "").lower().split(";"))
        style = {name.strip(): value.partition("!")[0].strip() for name, _, value in parts}
        if any(_HIDING.match(f"{name}:{value}") for name, value in style.items()):
            return None
        color, behind = style.get("color"), style.get("background-color") or style.get("background")
        if {color, behind} - _NO_COLORS:
            inherited = inherited | {"color"} if color == behind else inherited - {"color"}
        size = _SIZE.search(style.get("font-size") or style.get("font") or "")
        if size and size["none"]:
            return inherited | {"size"}
        return inherited - {"size"} if size or tag == "button" or "size" in attributes else inherited


def _hidden_by(style: str) -> Iterator[str]:
    """Yield the selectors that a style sheet hides on every screen.

    It is cut at its braces, since an expression for whole rules can take seconds for a sheet of 100 KB.
    """
    first, *others = style[:_MAX_STYLE].split("/*")
    plain = first + "".join(part.partition("*/")[2] for part in others)
    opened: list[str] = []
    text = ""
    for piece in re.split("([{}])", plain):
        if piece == "{":
            opened.append(text)
        elif piece == "}" and opened:
            selectors = opened.pop().rpartition(";")[2]
            if not opened and _HIDING_RULE.search(text):
                yield from map(str.strip, selectors.split(","))
        text = piece
