"""Read presentations (pptx, pptm, ppsx) as Markdown.

Slides come in their order, with notes and comments. The source is ECMA-376 part 1, 19.
"""

import re
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element  # made by `package`

from staging.llm._converter import drawing, markdown
from staging.llm._converter.formulas import equation
from staging.llm._converter.numbering import numeral
from staging.llm._converter.output import Output
from staging.llm._converter.package import Package, Relation, attribute, below, relation_id

_REPEATED = {"ftr": "footer", "dt": "date", "hdr": "header"}  # placeholders that stand on every slide
_NUMBER = "sldNum"
_FORMS = {"alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman", "romanUc": "upperRoman"}
_AROUND = {"ParenBoth": "({})", "ParenR": "{})", "Plain": "{}"}  # of numbers, 20.1.10.61
_LINE_END = re.compile("_x000[BD]_", re.IGNORECASE)  # a vertical tab, which XML cannot hold (22.4.2.4)
_TITLES = {"title", "ctrTitle"}
_BULLETED = {"body", "obj", ""}
_SHAPES = {"sp", "graphicFrame", "pic", "grpSp", "cxnSp"}


def read(source: IO[bytes], out: Output) -> None:
    """Write every slide."""
    package = Package(source, out)
    slides = _in_order(package)
    hidden = 0
    seen: set[str] = set()
    out.remark(f"{len(slides):,} slide{'s' * (len(slides) != 1)}")
    try:
        for number, name in enumerate(slides, 1):
            root = package.xml(name)
            is_hidden = attribute(root, "show", "1") in {"0", "false"}
            hidden += is_hidden
            for block in _Slide(package, name, out, seen).written(root, number, hidden=is_hidden):
                out.text(block)
    finally:
        if hidden:
            out.remark(f"{hidden:,} hidden slide{'s' * (hidden != 1)}")


def _in_order(package: Package) -> list[str]:
    """Return the slides in the order in which they are shown.

    Where the presentation does not list them, it is the order of their numbers.
    """
    relations = package.relations("ppt/presentation.xml")
    listed = [relations.get(relation_id(slide)) for slide in package.xml("ppt/presentation.xml").iter("p:sldId")]
    names = [relation.target for relation in listed if relation and relation.target in package]
    numbered = [name for name in package.names if re.fullmatch(r"ppt/slides/slide\d+\.xml", name)]
    return names or sorted(numbered, key=lambda name: (len(name), name))


class _Slide:
    def __init__(self, package: Package, name: str, out: Output, seen: set[str]) -> None:
        self._package = package
        self._relations = package.relations(name)
        self._out = out
        self._seen = seen  # what stands on every slide, and was shown
        self._title = ""

    def written(self, root: Element, number: int, *, hidden: bool) -> Iterator[str]:
        """Yield the slide's title, shapes, notes and comments."""
        tree = below(root, "p:cSld", "p:spTree")
        shapes = list(self._shapes(tree)) if tree is not None else []
        head = f"## Slide {number}{' (hidden)' if hidden else ''}"
        yield f"\n{head}{': ' + self._title if self._title else ''}\n\n"
        yield from filter(None, shapes)
        yield from self._notes(number)
        for relation in self._relations.values():
            if relation.kind in {"comments", "comment"}:
                yield from self._comments(relation)

    def _shapes(self, tree: Element) -> Iterator[str]:
        for shape in tree:
            kind = shape.tag.rpartition(":")[2]
            if kind == "AlternateContent":
                chosen = shape.find("mc:Choice")
                yield from self._shapes(chosen if chosen is not None and len(chosen) else shape)
                continue
            if kind not in _SHAPES and kind != "Fallback":
                continue
            properties = next((e for e in shape.iter() if e.tag.rpartition(":")[2] == "cNvPr"), None)
            if attribute(properties, "hidden") in {"1", "true"}:
                self._out.remark("hidden shapes left out")
            elif kind in {"grpSp", "Fallback"}:
                yield from self._shapes(shape)
            elif kind == "pic":
                yield markdown.picture(drawing.alt_text(properties) or "picture") + "\n\n"
            elif kind == "graphicFrame":
                yield from self._frame(shape, properties)
            else:
                yield self._text(shape, properties)

    def _frame(self, shape: Element, properties: Element | None) -> Iterator[str]:
        for table in shape.iter("a:tbl"):
            rows = [[self._cell(cell) for cell in row.findall("a:tc")] for row in table.findall("a:tr")]
            yield "".join(markdown.rows(rows))
        yield from drawing.graphics(self._package, self._relations, shape)
        if any(e.tag.rpartition(":")[2] == "oleObj" for e in shape.iter()):
            yield f"[embedded object{': ' + drawing.alt_text(properties) if drawing.alt_text(properties) else ''}]\n\n"

    def _cell(self, cell: Element) -> str:
        if attribute(cell, "hMerge") in {"1", "true"} or attribute(cell, "vMerge") in {"1", "true"}:
            return ""
        return "\n".join(self._words(p) for p in cell.iter("a:p"))

    def _text(self, shape: Element, properties: Element | None) -> str:
        place = _place(shape)
        if place in _REPEATED:
            return self._once(shape, place)
        if place == _NUMBER:
            return ""
        paragraphs = [(p, self._words(p)) for body in shape.iter("p:txBody") for p in body.findall("a:p")]
        words = [(p, text) for p, text in paragraphs if text.strip()]
        if place in _TITLES and not self._title:
            self._title = markdown.one_line(" ".join(text for _, text in words))
            return ""
        if not words:
            alt = attribute(properties, "descr")
            return markdown.picture(alt) + "\n\n" if alt else ""
        bulleted = place in _BULLETED and len(words) > 1
        counts: dict[int, tuple[str, int]] = {}
        return "".join(self._paragraph(p, text, counts, bulleted=bulleted) for p, text in words) + "\n"

    def _once(self, shape: Element, place: str) -> str:
        """Return what stands on every slide, where it stands first."""
        words = markdown.one_line(drawing.paragraph_words(shape))
        block = f"[{_REPEATED[place]}: {words}]\n\n" if words else ""
        shown = block in self._seen
        self._seen.add(block)
        return "" if shown else block

    def _paragraph(self, paragraph: Element, text: str, counts: dict[int, tuple[str, int]], *, bulleted: bool) -> str:
        """Return a paragraph with its mark.

        Args:
            paragraph: it.
            text: its words.
            counts: of each level of lists, the kind of its numbers and the last of them.
            bulleted: whether it has a bullet if it does not say so.
        """
        properties = paragraph.find("a:pPr")
        marks = {child.tag for child in properties} if properties is not None else set[str]()
        level = attribute(properties, "lvl", "0")
        depth = int(level) if level in set("012345678") else 0
        for deeper in [at for at in counts if at > depth]:
            del counts[deeper]
        numbers = below(properties, "a:buAutoNum")
        if numbers is not None:
            kind, start = attribute(numbers, "type"), attribute(numbers, "startAt", "1")
            last, number = counts.get(depth, ("", 0))
            number = number + 1 if last == kind + start else int(start[:5]) if start.isdecimal() else 1
            counts[depth] = kind + start, number
            around = next((form for end, form in _AROUND.items() if kind.endswith(end)), "{}.")
            return markdown.item(text, level=depth, mark=around.format(numeral(number, _FORMS.get(kind[:7], ""))))
        counts.pop(depth, None)
        if "a:buChar" in marks or "a:buBlip" in marks or (bulleted and "a:buNone" not in marks):
            return markdown.item(text, level=depth)
        return text + "\n"

    def _words(self, paragraph: Element) -> str:
        found: list[str] = []
        for child in paragraph:
            name = child.tag.rpartition(":")[2]
            if name == "br":
                found.append("\n")
            elif name in {"r", "fld"}:
                found.append(self._run(child))
            else:
                found += [equation(math) for math in child.iter("m:oMath")]
        return "".join(found)

    def _run(self, run: Element) -> str:
        words = _LINE_END.sub("\n", "".join(t.text or "" for t in run.iter("a:t")))
        click = below(run, "a:rPr", "a:hlinkClick")
        relation = self._relations.get(relation_id(click)) if click is not None else None
        return markdown.link(words, relation.target) if relation and relation.external else words

    def _notes(self, number: int) -> Iterator[str]:
        targets = [r.target for r in self._relations.values() if r.kind == "notesSlide"]
        usual = f"ppt/notesSlides/notesSlide{number}.xml"
        for target in targets[:1] or ([usual] if not self._relations else []):
            shapes = [e for e in self._package.xml(target).iter() if e.tag == "p:sp"]
            bodies = [s for s in shapes if _place(s) not in {*_REPEATED, _NUMBER, "sldImg"}]
            words = "\n".join(self._words(p) for s in bodies for p in s.iter("a:p")).strip()
            if words:
                yield f"[notes: {words}]\n\n"
            for shape in shapes:
                if (place := _place(shape)) in _REPEATED:
                    yield self._once(shape, place)

    def _comments(self, relation: Relation) -> Iterator[str]:
        for comment in self._package.xml(relation.target).iter():
            if comment.tag.rpartition(":")[2] in {"cm", "reply"}:
                texts = [e.text or "" for e in comment if e.tag.rpartition(":")[2] == "text"]
                words = markdown.one_line(" ".join(texts) or drawing.paragraph_words(comment))
                yield f"[comment: {words}]\n\n" if words else ""


def _place(shape: Element) -> str | None:
    """Return the kind of the placeholder that a shape fills, None if it fills none."""
    return next((attribute(e, "type") for e in shape.iter("p:ph")), None)
