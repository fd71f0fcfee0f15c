"""What the tests of the hand-off share: a stage with given files, and files of every kind."""

import io
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from staging import Attachment, Failure, Outcome, RejectedError, Skipped, StageClosedError, StagedFile
from staging._claims.media import HEAD_BYTES, TAIL_BYTES, observe


@dataclass
class FakeStage:
    """Has what the hand-off asks of an `AttachmentStage`, and nothing more."""

    outcomes: tuple[Outcome, ...]
    closed: bool = False

    def context(self, **options):
        if self.closed:
            raise StageClosedError("the stage is closed, and its files are gone")
        return "[Attachments:]\n(the context block)" if self.outcomes else ""


def stage_of(folder: Path, *things: Outcome | tuple[str, bytes | Path]) -> FakeStage:
    """Return a stage of outcomes and of files that are given as name and content, staged in `folder`."""
    made = [thing if not isinstance(thing, tuple) else staged_file(folder, *thing) for thing in things]
    return FakeStage(tuple(made))


def staged_file(folder: Path, filename: str, content: bytes | Path, **changes) -> StagedFile:
    path = folder / f"{len(list(folder.iterdir()))}-{filename}"
    if isinstance(content, Path):
        path = content
    else:
        path.write_bytes(content)
    with path.open("rb") as source:
        head = source.read(HEAD_BYTES)
        source.seek(max(0, path.stat().st_size - TAIL_BYTES))
        media_type = observe(head, source.read())
    values = {"path": path, "size": path.stat().st_size, "media_type": media_type, "name": filename}
    return StagedFile(attachment=Attachment("https://cdn.discordapp.com/" + "x"), **{**values, **changes})


def failure(name: str = "lost.png", detail: str = "too large: 61.2 MB, the limit is 50 MB") -> Failure:
    error = RejectedError("too_large", detail)
    return Failure(
        attachment=Attachment("https://x/y"), name=name, reason="too_large", detail=detail,
        retryable=False, attempts=0, error=error,
    )  # fmt: skip


def link(name: str = "https://example.com/page") -> Skipped:
    return Skipped(attachment=Attachment(name, kind="url"), name=name, reason="link")


# Files


def image(kind: str = "PNG", size=(8, 6), mode: str = "RGB", *, noise: bool = False, **options) -> bytes:
    if noise:
        picture = PIL.Image.frombytes(mode, size, os.urandom(size[0] * size[1] * len(mode)))
    else:
        picture = PIL.Image.new(mode, size)
    return encoded(picture, kind, **options)


def encoded(picture, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def moving_gif() -> bytes:
    frames = [PIL.Image.new("P", (10, 10), color) for color in (0, 1)]
    frames[0].putpalette([0, 0, 0, 255, 0, 0])
    frames[1].putpalette([0, 0, 0, 255, 0, 0])
    return encoded(frames[0], "GIF", save_all=True, append_images=[frames[1]], duration=50)


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
XML = '<?xml version="1.0"?>'


def docx(body: str = "<w:p><w:r><w:t>Hello</w:t></w:r></w:p>", prolog: str = XML) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", XML + "<Types/>")
        archive.writestr(
            "word/document.xml", f'{prolog}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
        )
    return buffer.getvalue()


def epub(chapter: str = "<p>Chapter one</p>", name: str = "OEBPS/ch1.xhtml") -> bytes:
    return zipped({"mimetype": "application/epub+zip", "META-INF/container.xml": "<container/>", name: chapter})


def zipped(parts: dict[str, str | bytes]) -> bytes:
    """Return a zip of the given members; ``mimetype`` is stored, as EPUB and OpenDocument want it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def xlsx(*rows: list) -> bytes:
    openpyxl = __import__("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def pdf(*pages: str, contents: list[bytes] | None = None, ballast: bytes = b"", kids: bytes | None = None) -> bytes:
    """Return a PDF of the given pages; `contents` are raw content streams with their dictionaries instead."""
    drawn = [b"BT /F1 12 Tf 50 700 Td (%b) Tj ET" % page.encode("latin-1") for page in pages]
    streams = contents or [b"<</Length %d>>stream\n%b\nendstream" % (len(page), page) for page in drawn]
    numbers = [4 + 2 * n for n in range(len(streams))]
    kids = kids if kids is not None else b" ".join(b"%d 0 R" % number for number in numbers)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (len(streams), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, stream in zip(numbers, streams, strict=True):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>>>>>"
            % (number + 1)
        )
        objects.append(stream)
    if ballast:
        objects.append(b"<</Length %d>>stream\n%b\nendstream" % (len(ballast), ballast))
    return pdf_of(objects)


def pdf_of(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def flate(data: bytes, times: int = 1) -> bytes:
    """Return a content stream behind `times` filters of deflate."""
    for _ in range(times):
        data = zlib.compress(data, 9)
    filters = b"/FlateDecode" * times
    return b"<</Length %d/Filter[%b]>>stream\n%b\nendstream" % (len(data), filters, data)
