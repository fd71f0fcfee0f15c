"""Read e-books as Markdown, chapter by chapter (EPUB 3.3)."""

import posixpath
from collections import Counter
from typing import IO
from urllib.parse import unquote

from staging.llm._converter import page
from staging.llm._converter.output import BROKEN, ENCRYPTED, Output
from staging.llm._converter.package import Package, attribute

_PAGES = (".xhtml", ".html", ".htm", ".xml")


def read(source: IO[bytes], out: Output) -> None:
    """Write the title, the author and every chapter."""
    package = Package(source, out)
    chapters, about = _spine(package)
    chapters = chapters or sorted(name for name in package.names if name.lower().endswith(_PAGES[:3]))
    if not chapters:
        out.refuse(BROKEN)
    locked = {
        posixpath.normpath(unquote(attribute(e, "URI")))
        for e in package.xml("META-INF/encryption.xml").iter()
        if e.tag.endswith("CipherReference")
    }
    if locked & set(chapters):  # if nothing but its fonts is encrypted, it can be read (EPUB 3.3, 4.2.6.3.2)
        out.refuse(ENCRYPTED)
    out.remark(f"{len(chapters):,} part{'s' * (len(chapters) != 1)}")
    if about:
        out.text(f"[{about}]\n\n")
    left_out: Counter[str] = Counter()
    try:
        for name in chapters:
            if name in package:
                out.text(page.fragment(package.read(name), left_out, xhtml=True) + "\n")
    finally:
        page.tell(left_out, out)


def _spine(package: Package) -> tuple[list[str], str]:
    """Return the parts in reading order, and what the book says of itself."""
    roots = [
        attribute(e, "full-path") for e in package.xml("META-INF/container.xml").iter() if e.tag.endswith("rootfile")
    ]
    main = next((name for name in roots if name in package), "")
    if not main:
        return [], ""
    root = package.xml(main)
    folder = posixpath.dirname(main)
    parts = {attribute(e, "id"): e for e in root.iter() if e.tag.endswith("item")}
    names: list[str] = []
    for reference in root.iter():
        item = parts.get(attribute(reference, "idref")) if reference.tag.endswith("itemref") else None
        if item is not None and "nav" not in attribute(item, "properties").split():
            names.append(posixpath.normpath(posixpath.join(folder, unquote(attribute(item, "href")))))
    about = [
        f"{kind}: {' '.join((e.text or '').split())}" for kind in ("title", "creator") for e in root.iter(f"dc:{kind}")
    ]
    return names, ", ".join(about)
