"""Read documents that are a zip of XML, within bounds and element by element.

A decompression bomb is refused before its part is expanded (CWE-409). A document type that declares something is
refused before the parser sees it. Entities can then neither multiply (CWE-776) nor name other files (CWE-611).
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Collection, Iterator
from typing import IO, Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError, XMLPullParser  # see `check_prolog`
from xml.parsers import expat

from staging.llm._converter.output import BROKEN, DEEP, ENCRYPTED, ENTITIES, RATIO, Output

MB = 1_048_576
PIECE = 65_536
MAX_MEMBERS = 20_000
MAX_EXPANDED = 200 * MB  # of all parts that are read
MAX_RATIO = 200  # XML of real documents shrinks 10 to 60 times, deflate at its most 1,032 times
RATIO_FROM = 16 * MB  # what is smaller is read within a second; a form of empty rows shrinks 300 times
_XML = (".xml", ".rels")
MAX_DEPTH = 180  # nested elements; a text box in a table in a text box needs some 60

# fmt: off
_NAMESPACES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.microsoft.com/office/word/2010/wordml": "w14",
    "http://schemas.openxmlformats.org/officeDocument/2006/math": "m",
    "http://purl.oclc.org/ooxml/officeDocument/math": "m",
    "http://schemas.openxmlformats.org/drawingml/2006/main": "a",
    "http://purl.oclc.org/ooxml/drawingml/main": "a",
    "http://schemas.openxmlformats.org/presentationml/2006/main": "p",
    "http://purl.oclc.org/ooxml/presentationml/main": "p",
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "s",
    "http://purl.oclc.org/ooxml/spreadsheetml/main": "s",
    "http://schemas.openxmlformats.org/drawingml/2006/chart": "c",
    "http://purl.oclc.org/ooxml/drawingml/chart": "c",
    "http://schemas.openxmlformats.org/drawingml/2006/diagram": "dgm",
    "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing": "wp",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    "urn:schemas-microsoft-com:vml": "v",
    "http://www.w3.org/1998/Math/MathML": "math",
    "urn:oasis:names:tc:opendocument:xmlns:office:1.0": "office",
    "urn:oasis:names:tc:opendocument:xmlns:text:1.0": "text",
    "urn:oasis:names:tc:opendocument:xmlns:table:1.0": "table",
    "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0": "draw",
    "urn:oasis:names:tc:opendocument:xmlns:presentation:1.0": "presentation",
    "urn:oasis:names:tc:opendocument:xmlns:style:1.0": "style",
    "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0": "svg",
    "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0": "manifest",
    "http://purl.org/dc/elements/1.1/": "dc",
}
# fmt: on


class Relation(NamedTuple):
    """Says where one part refers to.

    The target is another part of the package by its name, or an address outside.

    Attributes:
        kind: the last word of its type, such as ``hyperlink``.
        target: the part's name, or the address.
        external: whether it is an address.
    """

    kind: str
    target: str
    external: bool


class Package:
    """A zip whose parts are read with bounds."""

    def __init__(self, source: IO[bytes], out: Output) -> None:
        try:
            self._zip = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            out.refuse(BROKEN)
        self._out = out
        self._left = MAX_EXPANDED
        self._opened: set[str] = set()
        members = self._zip.infolist()
        if len(members) > MAX_MEMBERS:
            out.refuse(RATIO)
        parts = [member for member in members if member.filename.lower().endswith(_XML)]
        if sum(part.file_size for part in parts) > MAX_EXPANDED or any(map(_is_bomb, parts)):
            out.refuse(RATIO)
        self._members = {member.filename.replace("\\", "/").lstrip("/").lower(): member for member in members}

    @property
    def names(self) -> list[str]:
        """Return the parts' names, as they are written."""
        return [member.filename.replace("\\", "/").lstrip("/") for member in self._members.values()]

    def main(self, usual: str) -> str:
        """Return the name of the part that the others belong to, or nothing.

        The package says where it is (ECMA-376 part 2, 9.2). Where it does not, it has its `usual` name, a pattern.
        """
        told = [r.target for r in self.relations("").values() if r.kind == "officeDocument" and r.target in self]
        found = [name for name in self.names if re.fullmatch(usual, name, re.IGNORECASE)]
        return next(iter([*found, *told]), "")

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._members

    def open(self, name: str) -> IO[bytes]:
        """Open a part whose size is what a document may have.

        Raises `KeyError` if it is not there.
        """
        member = self._members[name.lower()]
        if member.flag_bits & 1:
            self._out.refuse(ENCRYPTED)
        if member.filename not in self._opened:
            self._opened.add(member.filename)
            self._left -= member.file_size
        if self._left < 0 or _is_bomb(member):
            self._out.refuse(RATIO)
        return self._zip.open(member)

    def read(self, name: str) -> bytes:
        """Return a part as a whole."""
        with self.open(name) as part:
            return part.read()

    def xml(self, name: str) -> Element:
        """Return the tree of a part, an empty one if the part is not there."""
        return self.parse(self.read(name)) if name in self else Element("none")

    def parse(self, data: bytes) -> Element:
        """Return the tree of an XML document."""
        root = Element("none")
        for _, root in parsed(io.BytesIO(data), self._out, {"/"}):  # noqa: B007  # the last one is the root
            pass
        return root

    def units(self, name: str, wanted: Collection[str], marks: Collection[str] = ()) -> Iterator[tuple[str, Element]]:
        """Yield the elements of a part as `parsed` does.

        There are none if the part is not there.
        """
        if name not in self:
            return
        with self.open(name) as part:
            yield from parsed(part, self._out, wanted, marks)

    def relations(self, name: str) -> dict[str, Relation]:
        """Return where a part refers to, by the identifiers it uses."""
        folder, base = posixpath.split(name)
        found: dict[str, Relation] = {}
        rels = posixpath.join(folder, "_rels", base + ".rels")
        for relation in self.xml(rels):
            external = relation.get("TargetMode", "").lower() == "external"
            target = relation.get("Target", "")
            if not external:
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            kind = relation.get("Type", "").rpartition("/")[2]
            found[relation.get("Id", "")] = Relation(kind, target, external)
        return found


def _is_bomb(member: zipfile.ZipInfo) -> bool:
    return member.file_size > RATIO_FROM and member.file_size > MAX_RATIO * member.compress_size


def parsed(
    part: IO[bytes], out: Output, wanted: Collection[str], marks: Collection[str] = ()
) -> Iterator[tuple[str, Element]]:
    """Yield ``("end", element)`` for every wanted element, as soon as it is complete.

    An element inside another wanted one is not yielded itself.

    Elements of `marks` outside of them are yielded at their start and end, without children. What has been yielded is
    freed, so that memory holds one unit and not the document. Tags are written with the usual prefix, such as ``w:p``.
    ``"/"`` stands for the root.
    """
    check_prolog(part, out)
    parser: Any = XMLPullParser(["start", "end"])
    path = _Path(out, wanted, marks)
    try:
        while piece := part.read(PIECE):
            parser.feed(piece)
            for event, element in parser.read_events():
                if path.start(element) if event == "start" else path.end(element):
                    yield event, element
                if event == "end":
                    path.forget(element)
        parser.close()
    except ParseError:
        out.refuse(BROKEN)


class _Path:
    """Knows where in a document the parser is.

    It also tells whether that is within an element that is wanted as a whole.
    """

    def __init__(self, out: Output, wanted: Collection[str], marks: Collection[str]) -> None:
        self._out = out
        self._wanted = wanted
        self._marks = marks
        self._open: list[Element] = []
        self._unit = 0  # the depth at which the open unit began

    def start(self, element: Element) -> bool:
        """Go into an element, and tell whether it is a mark."""
        element.tag = short(element.tag)
        self._open.append(element)
        if len(self._open) > MAX_DEPTH:
            self._out.refuse(DEEP)
        if self._unit:
            return False
        if element.tag in self._wanted or ("/" in self._wanted and len(self._open) == 1):
            self._unit = len(self._open)
            return False
        return element.tag in self._marks

    def end(self, element: Element) -> bool:
        """Tell whether the element that ends is one to be yielded."""
        return self._unit == len(self._open) if self._unit else element.tag in self._marks

    def forget(self, element: Element) -> None:
        """Go out of an element, and free it if it is no longer needed."""
        if not self._unit:
            element.clear()
        elif self._unit == len(self._open):
            self._unit = 0
            if len(self._open) > 1:
                del self._open[-2][:]
        self._open.pop()


def check_prolog(part: IO[bytes], out: Output) -> None:
    """Read XML up to its root element, and refuse a document type that declares something.

    A document type can only stand before the root (XML 1.0, 2.8). One that is only a name declares nothing here, since
    no other file is read. OpenOffice 1 and 2 wrote it, and so do old e-books.
    """

    def refuse(_: str, __: str | None, ___: str | None, has_own: object) -> None:
        if has_own:
            out.refuse(ENTITIES)

    started: list[str] = []
    parser: Any = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda name, _: started.append(name)
    try:
        while not started and (piece := part.read(4096)):
            parser.Parse(piece)
    except expat.ExpatError:
        out.refuse(BROKEN)
    part.seek(0)


_short: dict[str, str] = {}


def short(tag: str) -> str:
    """Return a tag with the usual prefix of its namespace, or without one."""
    if tag not in _short:
        namespace, _, name = tag.rpartition("}")
        prefix = _NAMESPACES.get(namespace.lstrip("{"), "")
        if len(_short) > 5000:  # names are the sender's: the table must not grow with them
            _short.clear()
        _short[tag] = f"{prefix}:{name}" if prefix else name
    return _short[tag]


def attribute(element: Element | None, name: str, default: str = "") -> str:
    """Return an attribute by its name, whatever its namespace."""
    if element is None:
        return default
    if name in element.attrib:
        return element.attrib[name]
    for key, value in element.attrib.items():
        if key.endswith("}" + name):
            return value
    return default


def number_of(element: Element | None, name: str, default: int) -> int:
    """Return an attribute that is a number, or the default if it is none."""
    value = attribute(element, name)
    return int(value[:9]) if value.isdecimal() else default


def relation_id(element: Element, *names: str) -> str:
    """Return an identifier of a relation.

    Its attribute always has the relations' namespace.
    """
    for key, value in element.attrib.items():
        namespace, _, name = key.rpartition("}")
        if namespace.endswith("/relationships") and name in (names or ("id",)):
            return value
    return ""


def is_on(element: Element | None) -> bool:
    """Tell whether a switch such as ``w:vanish`` is on.

    It is there and not off (ECMA-376 part 1, 22.9.2.7).
    """
    return element is not None and attribute(element, "val", "1") not in {"0", "false", "off"}


def below(element: Element | None, *path: str) -> Element | None:
    """Return the descendant at the end of a path of tags.

    Each step takes the first child of its tag. It is None where one is missing.
    """
    for tag in path:
        element = element.find(tag) if element is not None else None
    return element
