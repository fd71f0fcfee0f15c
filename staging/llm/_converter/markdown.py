"""Markdown, in the few forms that the readers write."""

import re
from collections.abc import Iterable, Iterator, Sequence

MAX_COLUMNS = 200  # columns of a table; a wider one cannot be read as a table

HEADING_STYLE = re.compile(r"(?:heading|überschrift|titre|título|kop|rubrik|überschr)\s*([1-9])", re.IGNORECASE)
"""Names of styles that make headings, and the level in them."""


def one_line(text: str) -> str:
    """Return the text with one space between words."""
    return " ".join(text.split())


def heading(level: int, text: str) -> str:
    """Return a heading, or nothing for an empty text."""
    words = one_line(text)
    return f"\n{'#' * min(6, max(1, level))} {words}\n\n" if words else ""


def item(text: str, *, level: int = 0, mark: str = "-") -> str:
    """Return one entry of a list, with further lines indented under it."""
    indent = "  " * min(level, 12)
    return indent + mark + " " + text.strip().replace("\n", "\n" + indent + "  ") + "\n"


def link(text: str, target: str) -> str:
    """Return a link, or only its target where it has no text."""
    words, target = text.strip(), one_line(target).replace(" ", "%20")
    if not target or target == words:
        return text
    return f"[{words}]({target})" if words else f"<{target}>"


def picture(alt: str) -> str:
    """Return the place of a picture with its alternative text, or nothing if it has none."""
    return f"![{one_line(alt)}]" if alt else ""


def quote(text: str) -> str:
    """Return a block quotation."""
    return "".join(f"> {line}\n" for line in text.strip().splitlines())


def rows(cells: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table as its rows come.

    The first row is the head, since every Markdown table has one.
    """
    width = 0
    for row in cells:
        if not width:
            width = min(MAX_COLUMNS, max(1, len(row)))
            yield "\n" + _row(row, width) + "|" + " --- |" * width + "\n"
        else:
            yield _row(row, width)
    if width:
        yield "\n"


def _row(row: Sequence[str], width: int) -> str:
    padded = [*row[:MAX_COLUMNS], *[""] * (width - len(row))]
    return "| " + " | ".join(cell(text) for text in padded) + " |\n"


def cell(text: str) -> str:
    """Return a text that stays in its cell."""
    lines = [one_line(line) for line in text.strip().splitlines()]
    return "<br>".join(filter(None, lines)).replace("|", "\\|")
