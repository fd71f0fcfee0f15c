"""PDF: the text of its pages, and how many there are."""

import contextlib
import importlib
import logging
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter.output import ENCRYPTED, Output, refuse


def read(source: IO[bytes], out: Output) -> None:
    """Write the text of every page, under its number."""
    out.until_full(page_texts(open_pdf(source)), unit="pages")


def open_pdf(source: IO[bytes]) -> Any:
    """Return the reader; a file that only its owner's password protects opens with the empty one."""
    logging.disable()
    pypdf = importlib.import_module("pypdf")
    reader = pypdf.PdfReader(source, strict=False)
    if reader.is_encrypted:
        with contextlib.suppress(pypdf.errors.DependencyError):
            if reader.decrypt(""):
                return reader
        refuse(ENCRYPTED)
    return reader


def page_texts(reader: Any) -> Iterator[str]:
    """Yield the text of the pages; one that cannot be read is named and costs no other."""
    for number, page in enumerate(reader.pages, 1):
        try:
            words = page.extract_text().strip()
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001  # pypdf raises whatever the damage leads to
            words = "[this page cannot be read]"
        yield f"\n[page {number}]\n{words}\n" if words else ""


def read_pages(source: IO[bytes], out: Output) -> None:
    """Write the number of pages; 0 when pypdf is not there to count them."""
    try:
        pages = len(open_pdf(source).pages)
    except ImportError:
        if b"/Encrypt" in source.read():  # the trailer is never compressed (ISO 32000-1, 7.5.5 and 7.5.8)
            refuse(ENCRYPTED)
        pages = 0
    out.data(b"%d" % pages)
