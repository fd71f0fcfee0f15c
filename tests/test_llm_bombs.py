"""A file that was made to hurt costs less than 100 MB and 10 seconds, and becomes one line."""

import functools
import io
import itertools
import json
import re
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from typing import IO

import PIL.Image
import pytest
from llm_stage import XML, docx, encoded, flate, image, pdf, pdf_of, stage_of, staged_file, xlsx

from staging import llm
from staging._models import MB
from staging.llm import _process
from staging.llm._converter import output
from staging.llm._files import UnreadableError
from staging.llm._frames import Frames
from staging.llm.extract import text_of

WORKER_SECONDS = 10.0
WORKER_MB = 170  # the plan of a house may have 300,000 lines on a page


def png_header(width: int, height: int) -> bytes:
    """Return a small PNG that claims to be huge, and has the data for it: a flat picture shrinks a thousand times."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + bytes(width // 8 + 1)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def flat_jpeg(size: int, **options) -> bytes:
    return encoded(PIL.Image.new("L", (size, size)), "JPEG", **options)


def billion_laughs() -> str:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {name} "{(f"&{before};" * 10)}">' for before, name in itertools.pairwise(names))
    return f'{XML}<!DOCTYPE l [<!ENTITY a "lol">{entities}]>'


def overstuffed(part: str, size: int) -> bytes:
    """Return a workbook whose shared strings, or a sheet, expand to `size`."""
    buffer = io.BytesIO(xlsx(["x"]))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(part, "w") as member:
        for _ in range(size // MB):
            member.write(b"A" * MB)
    return buffer.getvalue()


def form_page(drawn: bytes) -> list[bytes]:
    """Return the first four objects of a PDF whose page draws the form that is the fifth."""
    return [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(drawn), drawn),
    ]


def form_loop() -> bytes:
    """Return a page that draws a form that draws itself twice."""
    form = b"/X Do /X Do"
    return pdf_of([
        *form_page(b"/X Do"),
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>/Length %d>>stream\n%b\nendstream"
        % (len(form), form),
    ])  # fmt: skip


def deflated(piece: bytes, times: int) -> bytes:
    """Return a content stream of `times` pieces, deflated twice; the pieces are packed once."""
    packer = zlib.compressobj(9)
    first, other = (packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    checksum = functools.reduce(lambda known, _: zlib.adler32(piece, known), range(times), 1)
    data = zlib.compress(first + other * (times - 1) + packer.flush()[:-4] + struct.pack(">I", checksum), 9)
    return b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%b\nendstream" % (len(data), data)


def form_laughs() -> bytes:
    """Return a page of a form that draws another ten times, nine deep."""
    form, drawn = b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]", b"/X Do " * 10
    forms = [
        b"%b/Resources<</XObject<</X %d 0 R>>>>/Length 60>>stream\n%b\nendstream" % (form, number, drawn)
        for number in range(6, 14)
    ]
    return pdf_of([*form_page(b"/X Do"), *forms, b"%b/Length 3>>stream\nq Q\nendstream" % form])


TEXT_BOMBS = {
    "docx of 150 MB": lambda: docx("<w:p><w:r><w:t>" + "A" * 150_000_000 + "</w:t></w:r></w:p>"),
    "docx of a billion laughs": lambda: docx("<w:p><w:r><w:t>&j;</w:t></w:r></w:p>", billion_laughs()),
    "docx with an external entity": lambda: docx(
        "<w:p><w:r><w:t>&e;</w:t></w:r></w:p>", XML + '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    ),
    "xlsx of 190 MB": lambda: overstuffed("xl/worksheets/sheet9.xml", 190 * MB),
    "pdf that is its own page": lambda: pdf("x", kids=b"2 0 R"),
    "pdf with a form in itself": form_loop,
    "pdf deflated twice": lambda: pdf(contents=[flate(b" " * 200_000_000, 2)]),
    "pdf of 1 GB": lambda: pdf(contents=[deflated(b" " * MB, 1024)]),
    "pdf of endless operators": lambda: pdf(contents=[deflated(b"0 0 m 1 1 l S " * 70_000, 40)]),
    "pdf of a billion forms": form_laughs,
    "html of 400,000 paragraphs": lambda: b"<!doctype html>" + b"<p>some <b>words</b> and more</p>" * 400_000,
    "html of open comments": lambda: b"<!doctype html>" + b"<!--" * 2_500_000,
    "html of one open attribute": lambda: b"<!doctype html><a " + b'a="' * 3_000_000,
}

REFUSED = {
    "docx of 150 MB": output.RATIO,
    "docx of a billion laughs": output.ENTITIES,
    "docx with an external entity": output.ENTITIES,
    "xlsx of 190 MB": output.RATIO,
    "html of 400,000 paragraphs": output.MEMORY,
}

SCALED_BOMBS = {
    "png of 900 million pixels": lambda: png_header(30_000, 30_000),
    "progressive jpeg of 400 million pixels": lambda: flat_jpeg(20_000, progressive=True),
    "progressive jpeg of 196 million pixels": lambda: flat_jpeg(14_000, progressive=True),
    "webp of 268 million pixels": lambda: encoded(PIL.Image.new("L", (8, 8)), "WEBP").replace(
        b"\x08\0\x08\0", b"\xff\x3f" * 2
    ),
}


@functools.cache
def made(name: str) -> bytes:
    """Return a bomb; to make one costs more than to refuse it."""
    return (TEXT_BOMBS | SCALED_BOMBS)[name]()


SHOWN = {  # large and flat is what line art and scans at 600 dpi are
    "png of 79 million pixels": lambda: png_header(8_900, 8_900),
    "progressive jpeg of 64 million pixels": lambda: flat_jpeg(8_100, progressive=True),
    "jpeg of 400 million pixels": lambda: flat_jpeg(20_000),
    "png of 64 million pixels in colour": lambda: encoded(PIL.Image.new("RGB", (8_000, 8_000)), "PNG"),
    "palette of 35 million pixels": lambda: encoded(PIL.Image.new("P", (4_960, 7_016)), "PNG"),
}
PICTURE_MB = 420  # a picture is bounded by its memory, not by how well it was packed


def cost_of(content: IO[bytes], task: str, **options) -> tuple[str, float, float]:
    """Run the converter alone; return what it was refused for, its processor seconds and the most MB it had."""
    script = (
        "import json,resource,subprocess,sys;"
        "p=subprocess.run(sys.argv[1:],stdin=0,stdout=subprocess.PIPE,stderr=subprocess.DEVNULL);"
        "print(json.dumps([p.stdout[-20:].decode('latin-1'),p.returncode,"
        "(u:=resource.getrusage(resource.RUSAGE_CHILDREN)).ru_utime+u.ru_stime,u.ru_maxrss/1024]))"
    )
    command = [sys.executable, "-c", script, *_process._python(), task, json.dumps(options)]
    done = subprocess.run(
        command, input=None, stdin=content, capture_output=True, env=_process._environment(), check=True, timeout=60
    )
    said, status, seconds, memory = json.loads(done.stdout)
    refused = [key for key in output.REASONS if said.endswith(f"x\0\0\0{chr(len(key))}{key}")]
    return refused[0] if refused else str(status), seconds, memory


@pytest.mark.parametrize("name", TEXT_BOMBS)
def test_text_bomb_is_cheap(name, tmp_path):
    file = staged_file(tmp_path, "bomb", made(name))
    task = {"docx": "docx", "xlsx": "xlsx", "pdf": "pdf", "html": "html"}[name.partition(" ")[0]]
    with file.path.open("rb") as source:
        refused, seconds, memory = cost_of(source, task)
    assert refused == REFUSED.get(name, refused)
    assert (refused != "0", seconds < WORKER_SECONDS, memory < WORKER_MB) == (True, True, True), (seconds, memory)


PICTURE = {"types": ["image/png", "image/jpeg"], "max_bytes": 4 * MB, "side": 2000}


@pytest.mark.parametrize("name", SCALED_BOMBS)
def test_pixel_bomb_is_cheap(name, tmp_path):
    file = staged_file(tmp_path, "bomb", made(name))
    with file.path.open("rb") as source:
        refused, seconds, memory = cost_of(source, "picture", **PICTURE)
    assert (refused != "0", seconds < WORKER_SECONDS, memory < WORKER_MB) == (True, True, True), (seconds, memory)


@pytest.mark.parametrize("name", SHOWN)
def test_a_large_flat_picture_is_shown_within_its_memory(name, tmp_path):
    file = staged_file(tmp_path, "flat", SHOWN[name]())
    with file.path.open("rb") as source:
        refused, seconds, memory = cost_of(source, "picture", **PICTURE)
    assert (refused, seconds < WORKER_SECONDS, memory < PICTURE_MB) == ("0", True, True), (refused, seconds, memory)


async def test_every_bomb_is_one_line_and_its_neighbour_is_whole(tmp_path):
    names = ["docx of 150 MB", "docx of a billion laughs", "pdf that is its own page", "xlsx of 190 MB"]
    stage = stage_of(tmp_path, *((name, made(name)) for name in names), ("good.txt", b"good"))
    prompt = await llm.prompt(stage)
    shown = [line for line in prompt.splitlines() if "not shown: " in line]
    assert shown == [
        "[Contents of attachments 1, 4, not shown: it expands to far more than its size]",
        f"[Contents of attachment 2, {names[1]!r}, not shown: it declares a document type or entities]",
        f"[Contents of attachment 3, {names[2]!r}, not shown: it is damaged or of a kind that cannot be read]",
    ]
    assert "```text\ngood\n```" in prompt


@pytest.mark.parametrize("name", ["pdf of 1 GB", "pdf of endless operators", "pdf of a billion forms"])
async def test_a_pdf_that_needs_too_much_memory_says_so(name, tmp_path):
    """PDFium ends the process when an allocation is refused; that is no fault of the converter."""
    stage = stage_of(tmp_path, (name, made(name)))
    prompt = await llm.prompt(stage)
    assert f"[Contents of attachment 1, {name!r}, not shown: it needs too much memory]" in prompt
    (block,) = await llm.openai_blocks(stage, limits=llm.COMPATIBLE)
    assert "needs too much memory" in block["text"]


async def test_pages_before_the_one_that_needs_too_much_memory_are_kept(tmp_path):
    text = b"BT /F1 12 Tf 50 700 Td (The first page) Tj ET"
    pages = [b"<</Length %d>>stream\n%b\nendstream" % (len(text), text), deflated(b" " * MB, 1024)]
    prompt = await llm.prompt(stage_of(tmp_path, ("two.pdf", pdf(contents=pages))))
    assert "(the text of a PDF; 2 pages; not read to its end):" in prompt
    assert "[page 1]\nThe first page\n[… the rest was not read, after 128 MB of memory …]" in prompt


async def test_a_line_of_10_mb_is_shown_by_its_ends(tmp_path):
    stage = stage_of(
        tmp_path, ("a.txt", b"x" * 10_000_000), ("b.html", b"<p>" + b"y" * 10_000_000), ("c.json", b"[" * 10_000_000)
    )
    start = time.perf_counter()
    prompt = await llm.prompt(stage, max_chars=3000)
    assert time.perf_counter() - start < 10
    assert len(prompt) < 4500
    assert re.search(r"x\n\[… 9,999,\d{3} characters omitted …\]\nx", prompt)


async def test_a_pixel_bomb_is_one_line_of_the_list(tmp_path):
    stage = stage_of(tmp_path, ("bomb.png", made("png of 900 million pixels")))
    (block,) = await llm.anthropic_blocks(stage)
    assert block["text"].splitlines()[1:] == [
        f"1. 'bomb.png': not shown, image/png, {_size(stage)} (it has too many pixels)"
    ]


def _size(stage) -> str:
    from staging._text import format_size

    return format_size(stage.outcomes[0].size)


# The bounds themselves


@pytest.mark.parametrize("content", [image("BMP"), pdf("x")], ids=["image", "pdf"])
@pytest.mark.parametrize(
    "output", ["", "d\0\0\0\2-1", "d\0\0\0\x16image/svg+xml 1 1\nAAAA", "9" * 30, "d\0\0\0\x1e" + "9" * 30]
)
async def test_a_converter_that_was_taken_over_puts_nothing_into_a_block(content, output, tmp_path, monkeypatch):
    script = tmp_path / "evil.py"
    script.write_text(f"print({output!r}, end='')")
    monkeypatch.setattr(_process, "SCRIPT", script)
    monkeypatch.setattr(_process, "forks", lambda: False)
    (block,) = await llm.openai_blocks(stage_of(tmp_path, ("x", content)))
    assert "broke the converter" in block["text"] or "expands to far more" in block["text"]


async def test_a_program_without_an_interpreter_starts_no_second_copy_of_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(UnreadableError, match="needs a Python interpreter"):
        await text_of(staged_file(tmp_path, "a.docx", docx()), 10)


def test_the_converter_finds_no_secrets_in_its_environment(monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    assert "secret" not in str(_process._environment())


def test_the_converter_may_write_no_file(tmp_path):
    code = (
        "import resource,sys;sys.path.insert(0,sys.argv[1]);import bounds;bounds.limit_resources(100<<20)\n"
        "try: open(sys.argv[2],'wb',buffering=0).write(b'x')\nexcept OSError as e: print(e.errno)"
    )
    folder = _process.SCRIPT.parent
    command = [sys.executable, "-P", "-c", code, str(folder), str(tmp_path / "x")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "27\n"  # EFBIG


def test_text_stops_after_so_many_characters_and_says_so(monkeypatch):
    """By its characters, not by the clock: the same file gives the same text on every run."""
    monkeypatch.setattr(output, "MAX_CHARS", 8)
    pipe = io.BytesIO()
    out = output.Output(pipe)
    out.text("first")
    with pytest.raises(output.FullError, match="8 characters"):
        out.text("second")
    out.cut("8 characters")
    assert text_in(pipe) == "firstsec\n[… the rest was not read, after 8 characters …]\n"


def text_in(pipe: io.BytesIO) -> str:
    found = []
    frames = Frames(found.append, 1000)
    frames.feed(pipe.getvalue())
    return "".join(found)


def test_nothing_is_a_refusal():
    out = output.Output(io.BytesIO())
    out.text(" \n")
    with pytest.raises(output.RefusedError) as caught:
        out.check()
    assert caught.value.args == (output.EMPTY,)
