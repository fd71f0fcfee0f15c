"""Office Open XML: archives and their XML, opened with no trust."""

import zipfile
from typing import Any
from xml.parsers import expat

from staging.llm._converter.bounds import MB
from staging.llm._converter.output import ENCRYPTED, ENTITIES, RATIO, refuse

MAX_MEMBERS = 2_000  # of an archive; a workbook with a picture in every cell is no longer read for its text
MAX_EXPANDED = 200 * MB
MAX_RATIO = 200  # XML of real documents shrinks 10 to 60 times, deflate at its most 1,032 times
RATIO_FROM = MB  # below this size a ratio says nothing


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that is a bomb, and XML that declares a document type, before anything is expanded."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_EXPANDED:
        refuse(RATIO)
    for member in members:
        if member.file_size > RATIO_FROM and member.file_size > MAX_RATIO * member.compress_size:
            refuse(RATIO)
        if member.flag_bits & 1:
            refuse(ENCRYPTED)
        if member.filename.endswith((".xml", ".rels")):
            check_prolog(archive, member)


def check_prolog(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Read XML up to its root element: a document type can only stand before it (XML 1.0, 2.8)."""
    started: list[str] = []
    parser = strict_parser()
    parser.StartElementHandler = lambda name, _: started.append(name)
    with archive.open(member) as part:
        while not started and (piece := part.read(4096)):
            parser.Parse(piece)


def strict_parser() -> Any:
    """Return an XML parser without document types, hence without entities, external ones included."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = lambda *_: refuse(ENTITIES)
    parser.EntityDeclHandler = lambda *_: refuse(ENTITIES)
    return parser
