"""docx: the words of the main document part."""

import re
import zipfile
from collections.abc import Iterator
from typing import IO

from staging.llm._converter.opc import check_archive, strict_parser
from staging.llm._converter.output import Output
from staging.llm._converter.plain import PIECE

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
STRICT_WORD = "http://purl.oclc.org/ooxml/wordprocessingml/main "
BREAKS = {"p": "\n", "tr": "\n", "tc": "\t", "tab": "\t", "br": "\n", "cr": "\n"}


def read(source: IO[bytes], out: Output) -> None:
    """Write the words of the main document part, one paragraph a line, cells parted by tabs."""
    with zipfile.ZipFile(source) as archive:
        check_archive(archive)
        names = [name for name in archive.namelist() if re.fullmatch(r"word/document\d*\.xml", name)]
        with archive.open(names[0]) as part:
            out.until_full(docx_words(part), unit="pieces")


def docx_words(part: IO[bytes]) -> Iterator[str]:
    """Yield the text runs of WordprocessingML as they are parsed, so that no tree is built."""
    found: list[str] = []
    inside: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        inside.append(name.removeprefix(WORD).removeprefix(STRICT_WORD))

    def end(_: str) -> None:
        name = inside.pop()
        found.append(" " if name == "p" and "tc" in inside else BREAKS.get(name, ""))

    def data(words: str) -> None:
        if inside and inside[-1] == "t":
            found.append(words)

    parser = strict_parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    while piece := part.read(PIECE):
        parser.Parse(piece)
        yield "".join(found)
        found.clear()
