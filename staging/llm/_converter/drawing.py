"""Read the drawings of Word, PowerPoint and Excel.

Charts give their figures, and diagrams give their words.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter import markdown
from staging.llm._converter.package import Package, Relation, attribute, relation_id

MAX_POINTS = 2000


def graphics(package: Package, relations: dict[str, Relation], element: Element) -> Iterator[str]:
    """Yield the charts and diagrams that a drawing refers to."""
    for child in element.iter():
        if child.tag == "c:chart" and (relation := relations.get(relation_id(child))):
            yield chart(package.xml(relation.target))
        elif child.tag == "dgm:relIds" and (relation := relations.get(relation_id(child, "dm"))):
            words = [paragraph_words(point) for point in package.xml(relation.target).iter("dgm:pt")]
            yield "".join(markdown.item(line) for line in words if line)


def chart(root: Element) -> str:
    """Return a chart as a table of the values that were last drawn."""
    titles = [paragraph_words(title) for title in root.iter("c:title")]
    names: list[str] = []
    columns: list[dict[int, str]] = []
    categories: dict[int, str] = {}
    for series in root.iter("c:ser"):
        names.append(" ".join(value.text or "" for tx in series.iter("c:tx") for value in tx.iter("c:v")))
        for axis in ("c:cat", "c:xVal"):
            for found in series.iter(axis):
                categories = categories or _points(found)
        columns.append({})
        for axis in ("c:val", "c:yVal"):
            for found in series.iter(axis):
                columns[-1] = _points(found)
    lines = sorted({*categories, *(at for column in columns for at in column)})[:MAX_POINTS]
    table = [["", *names], *([categories.get(at, ""), *(column.get(at, "") for column in columns)] for at in lines)]
    head = "[chart" + "".join(f": {title}" for title in titles[:1] if title) + "]\n"
    return head + "".join(markdown.rows(table)) if columns else head


def _points(axis: Element) -> dict[int, str]:
    found: dict[int, str] = {}
    for point in axis.iter("c:pt"):
        at = point.get("idx", "")
        if at.isdecimal():
            found[int(at)] = " ".join(value.text or "" for value in point.iter("c:v"))
    return found


def paragraph_words(element: Element) -> str:
    """Return the words of DrawingML text, a space between its paragraphs."""
    return " ".join(filter(None, ("".join(t.text or "" for t in p.iter("a:t")) for p in element.iter("a:p"))))


def alt_text(properties: Element | None) -> str:
    """Return the description of a picture, or else its title."""
    return attribute(properties, "descr") or attribute(properties, "title")
