# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""See the library work: stage a handful of attachments, print what a language model would get, watch them disappear.

With no arguments it serves real files from this machine; with URLs it takes those, from Discord's hosts or from those
that `--allow-host` names: `uv run examples/quickstart.py --allow-host files.example.com https://files.example.com/a.pdf`
"""

import argparse
import logging
import struct
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from staging import AttachmentStage, UrlPolicy, WorkspaceError
from staging.testing import FakeCDN, assert_empty

SCRIPT = b'def greet(name: str) -> str:\n    return f"Hello, {name}!"\n'


def picture() -> bytes:
    """Return a real PNG: a 64 x 64 colour gradient."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(value for x in range(64) for value in (4 * x, 4 * y, 128)) for y in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def document() -> bytes:
    """Return a real PDF of one page."""
    text = b"BT /F1 24 Tf 72 720 Td (Minutes of the meeting) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end


@asynccontextmanager
async def served_here() -> AsyncIterator[tuple[list[Any], UrlPolicy]]:
    """Serve real files from loopback, as Discord's gateway would announce them."""
    async with FakeCDN() as cdn:
        missing = cdn.url("/attachments/1/5/deleted.txt")
        yield (
            [
                {"url": cdn.serve("/attachments/1/1/greet.py", SCRIPT), "filename": "greet.py", "type": "file"},
                {"url": cdn.serve("/attachments/1/2/sunset.png", picture()), "filename": "sunset.png", "type": "image"},
                {
                    "url": cdn.serve("/attachments/1/3/minutes.pdf", document()),
                    "filename": "minutes.pdf",
                    "type": "file",
                },
                {
                    "url": cdn.serve("/attachments/1/4/scan.tiff", bytes(3_000_000)),
                    "filename": "scan.tiff",
                    "type": "image",
                },
                {"url": missing, "filename": "deleted.txt", "type": "file"},
                {"url": "https://example.com/page", "type": "url"},
            ],
            cdn.policy,
        )


@asynccontextmanager
async def given(urls: Sequence[str], hosts: Sequence[str]) -> AsyncIterator[tuple[list[Any], UrlPolicy]]:
    """Take the URLs of the command line; without `--allow-host`, Discord's hosts are admitted."""
    yield list(urls), UrlPolicy.only(*hosts) if hosts else UrlPolicy.discord()


def listing(directory: Path) -> list[str]:
    """Return the names of what can be seen in a directory."""
    return sorted(path.name for path in directory.iterdir() if path.name[0] != ".")


async def main(urls: Sequence[str], hosts: Sequence[str], root: Path) -> bool:
    """Stage, print, and show that nothing is left; return whether anything could be staged."""
    async with given(urls, hosts) if urls else served_here() as (attachments, policy):
        async with AttachmentStage(root, max_mb=50 if urls else 2, policy=policy, label="the quickstart") as stage:
            await stage.download(attachments)
            print(f"While the scope is open, {stage!r} holds:")
            print("".join(f"  {name}\n" for name in listing(stage.directory)))
            print("The language model gets:\n\n" + stage.context() + "\n")
            if notice := stage.notice():
                print("The person who asked gets:\n\n" + notice + "\n")
            staged = bool(stage.files)
        assert_empty(root)
        print(f"After the scope {stage.removed} files were removed, and {root} is empty: {listing(root)}")
        return staged


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="*", metavar="URL", help="what to stage; without any, files served from here")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="instead of Discord's hosts")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    with tempfile.TemporaryDirectory() as directory:
        try:
            well = anyio.run(main, arguments.urls, arguments.allow_host, Path(directory))
        except (ValueError, WorkspaceError) as error:
            sys.exit(f"quickstart: {error}")
    sys.exit(0 if well else 1)
