"""Content blocks: exact shapes, the provider's limits, the shared budget, and a line for everything."""

import base64
import io
import itertools
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio
import PIL.Image
import pytest
from llm_stage import docx, encoded, failure, image, link, moving_gif, pdf, stage_of, staged_file
from test_llm_prompt import hide

from staging import llm
from staging._models import MB
from staging.llm import _media, shapes
from staging.llm._images import ImageFacts, image_facts

pytestmark = pytest.mark.usefixtures("shared_converters")

ALL = [llm.anthropic_blocks, llm.openai_blocks, llm.openai_chat_blocks, llm.gemini_parts]
PRESETS = [
    getattr(llm, name)
    for name in ("ANTHROPIC", "ANTHROPIC_LONG", "BEDROCK", "OPENAI", "OPENAI_CHAT", "COMPATIBLE", "GEMINI")
]
PNG = image()
DOC = pdf("page")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def raw(block: dict) -> bytes:
    """Return the bytes of a media block of any of the three shapes."""
    match block:
        case {"source": {"data": data}}:
            return base64.b64decode(data, validate=True)
        case {"inline_data": {"data": data}}:
            return data
        case {"image_url": {"url": url}} | {"image_url": url} | {"file_data": url} | {"file": {"file_data": url}}:
            head, _, data = url.partition(";base64,")
            assert head.startswith("data:")
            return base64.b64decode(data, validate=True)
    raise AssertionError(block)


def text_of_block(block: dict) -> str | None:
    return block.get("text")


def media(found: list[dict]) -> list[dict]:
    return [block for block in found if "text" not in block]


def listing(found: list[dict]) -> list[str]:
    """Return the lines of the first text block but its heading."""
    first = next(block["text"] for block in found if "text" in block)
    heading, *lines = first.split("\n")
    assert heading == "[What became of the attachments:]"
    return lines


# Shapes


async def test_anthropic_blocks_are_exactly_these(tmp_path):
    stage = stage_of(tmp_path, ("a.txt", b"text"), ("i.png", PNG), ("d.pdf", DOC))
    assert await llm.anthropic_blocks(stage) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": b64(DOC)},
            "title": "d.pdf",
        },
        {
            "type": "text",
            "text": "[What became of the attachments:]\n"
            "1. 'a.txt': its text is below\n2. 'i.png': image 1 above\n3. 'd.pdf': document 1 above",
        },
        {"type": "text", "text": "[Contents of attachment 1, 'a.txt':]\n```text\ntext\n```"},
    ]


async def test_openai_blocks_are_exactly_these(tmp_path):
    stage = stage_of(tmp_path, ("i.png", PNG), ("d.pdf", DOC))
    assert await llm.openai_blocks(stage) == [
        {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{b64(PNG)}"},
        {"type": "input_file", "filename": "d.pdf", "file_data": f"data:application/pdf;base64,{b64(DOC)}"},
        {
            "type": "input_text",
            "text": "[What became of the attachments:]\n1. 'i.png': image 1 above\n2. 'd.pdf': document 1 above",
        },
    ]


async def test_openai_chat_blocks_are_exactly_these(tmp_path):
    stage = stage_of(tmp_path, ("i.png", PNG), ("d.pdf", DOC))
    assert await llm.openai_chat_blocks(stage) == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(PNG)}"}},
        {"type": "file", "file": {"filename": "d.pdf", "file_data": f"data:application/pdf;base64,{b64(DOC)}"}},
        {
            "type": "text",
            "text": "[What became of the attachments:]\n1. 'i.png': image 1 above\n2. 'd.pdf': document 1 above",
        },
    ]


@pytest.mark.parametrize("hand_off", ALL)
async def test_no_outcomes_are_no_blocks(hand_off, tmp_path):
    assert await hand_off(stage_of(tmp_path)) == []


@pytest.mark.parametrize("hand_off", ALL)
async def test_nothing_is_silent(hand_off, tmp_path):
    stage = stage_of(
        tmp_path, ("v.mp4", b"\0\0\0\x18ftypmp42" + bytes(12)), failure(), link(), ("a.zip", b"PK\x05\x06" + bytes(18)),
        ("empty.png", b""), ("cut.png", PNG[:20]), ("bad.pdf", b"%PDF-1.7\nrubbish"), ("d.docx", docx()),
    )  # fmt: skip
    limits = {"limits": replace(llm.GEMINI, video_types=())} if hand_off is llm.gemini_parts else {}
    found = await hand_off(stage, **limits)
    assert media(found) == []
    assert listing(found) == [
        "1. 'v.mp4': not shown, video/mp4, 24 bytes (video/mp4 cannot be given to this model)",
        "2. 'lost.png': not downloaded (too large: 61.2 MB, the limit is 50 MB)",
        "3. 'https://example.com/page': a link, not downloaded",
        "4. 'a.zip': its text is below (the list of its members; 0 files, 0 bytes unpacked)",
        "5. 'empty.png': not shown, text/plain, 0 bytes (it is empty)",
        "6. 'cut.png': not shown, image/png, 20 bytes (it is damaged or of a kind that cannot be read)",
        "7. 'bad.pdf': not shown, application/pdf, 16 bytes (it is damaged or of a kind that cannot be read)",
        "8. 'd.docx': its text is below (a document as Markdown)",
    ]
    assert found[2]["text"].endswith("```markdown\nHello\n```")


async def test_media_come_first_and_all_in_the_order_of_intake(tmp_path):
    stage = stage_of(
        tmp_path, ("1.txt", b"1"), ("2.png", image(size=(2, 2))), ("3.pdf", DOC), ("4.py", b"4"),
        ("5.bmp", image("BMP", (5, 5))), ("6.jpg", image("JPEG")),
    )  # fmt: skip
    found = await llm.anthropic_blocks(stage)
    kinds = [block.get("title") or block["source"]["media_type"] if "source" in block else "text" for block in found]
    assert kinds == ["image/png", "3.pdf", "image/png", "image/jpeg", "text", "text", "text"]
    assert [block["text"][24] for block in found if block["type"] == "text"][1:] == ["1", "4"]


async def test_the_observed_type_decides_never_the_claimed_one(tmp_path):
    stage = stage_of(tmp_path, ("fake.png", b"<!doctype html><p>no image"), ("fake.txt", PNG), ("fake.jpg", DOC))
    found = await llm.openai_blocks(stage)
    assert [block.get("filename") or block["image_url"][:14] for block in media(found)] == [
        "data:image/png",
        "fake.jpg.pdf",
    ]
    assert "no image" in found[-1]["text"]


async def test_a_drawing_in_svg_is_text(tmp_path):
    found = await llm.anthropic_blocks(stage_of(tmp_path, ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>')))
    assert "```xml\n<svg" in found[-1]["text"]


async def test_a_hostile_name_is_escaped_everywhere(tmp_path):
    file = staged_file(tmp_path, "x", DOC, name="a\n2. 'b.pdf': document\u202e")
    found = await llm.anthropic_blocks(stage_of(tmp_path, file))
    assert found[0]["title"] == "a\\n2. 'b.pdf': document\\u202e"
    assert listing(found) == ["1. 'a\\\\n2. \\'b.pdf\\': document\\\\u202e': document 1 above"]


async def test_a_path_that_occurs_twice_is_sent_once(tmp_path):
    file = staged_file(tmp_path, "i.png", PNG)
    doc = staged_file(tmp_path, "d.pdf", DOC)
    found = await llm.anthropic_blocks(stage_of(tmp_path, file, doc, file, doc))
    assert len(media(found)) == 2
    assert listing(found)[2].endswith("(it is the same file as attachment 1)")
    assert listing(found)[3].endswith("(it is the same file as attachment 2)")


# What the provider refuses


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.bmp", image("BMP", (30, 20)), ("image/png", (30, 20))),
        ("a.tiff", image("TIFF", (30, 20), "L"), ("image/png", (30, 20))),
        ("a.ico", image("ICO", (32, 32)), ("image/png", (32, 32))),
        ("a.avif", image("AVIF", (32, 32)), ("image/jpeg", (32, 32))),
        ("a.tif", image("TIFF", (20, 20), "I;16"), ("image/png", (20, 20))),
        ("a.tif", image("TIFF", (20, 20), "CMYK"), ("image/png", (20, 20))),
        ("big.png", image("PNG", (9000, 100)), ("image/png", (2000, 22))),
        ("big.jpg", image("JPEG", (9000, 100)), ("image/jpeg", (2000, 22))),
    ],
)
async def test_what_the_api_refuses_is_converted_or_scaled(name, content, expected, tmp_path):
    found = await llm.anthropic_blocks(stage_of(tmp_path, (name, content)))
    (block,) = media(found)
    with PIL.Image.open(io.BytesIO(raw(block))) as picture:
        assert (block["source"]["media_type"], picture.size) == expected
        assert PIL.Image.MIME[picture.format] == expected[0]
    assert f"to {expected[0]}, {expected[1][0]:,} x {expected[1][1]:,} pixels)" in listing(found)[0]


async def test_an_image_over_the_bytes_is_scaled_under_them(tmp_path):
    content = image("PNG", (2000, 1500), noise=True)
    assert len(content) > llm.ANTHROPIC.max_image_bytes
    found = await llm.anthropic_blocks(stage_of(tmp_path, ("noise.png", content)))
    (block,) = media(found)
    assert len(block["source"]["data"]) <= 5 * MB
    assert media(await llm.openai_blocks(stage_of(tmp_path, ("noise.png", content))))[0]["image_url"][23:] != content


async def test_an_image_within_the_limits_is_sent_as_it_is(tmp_path):
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        content = image(kind, (300, 200))
        for hand_off in ALL if kind != "GIF" else ALL[:3]:
            (block,) = media(await hand_off(stage_of(tmp_path, ("x", content))))
            assert raw(block) == content


async def test_a_moving_gif_is_its_first_frame_where_the_api_takes_no_more(tmp_path):
    stage = stage_of(tmp_path, ("m.gif", moving_gif()))
    assert raw(media(await llm.anthropic_blocks(stage))[0]) == moving_gif()
    for hand_off in (llm.openai_blocks, llm.openai_chat_blocks):
        assert raw(media(await hand_off(stage))[0]).startswith(b"\x89PNG")


async def test_a_converted_photograph_stands_upright_and_tells_no_place(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn right
    exif[0x8825] = {1: "N", 2: (48.0, 0.0, 0.0)}  # GPS
    content = encoded(PIL.Image.new("RGB", (9000, 90)), "JPEG", exif=exif)
    (block,) = media(await llm.anthropic_blocks(stage_of(tmp_path, ("p.jpg", content))))
    with PIL.Image.open(io.BytesIO(raw(block))) as picture:
        assert picture.size == (20, 2000)
        assert not dict(picture.getexif())


async def test_transparency_survives_a_conversion(tmp_path):
    content = encoded(PIL.Image.new("RGBA", (9000, 10), (255, 0, 0, 0)), "PNG")
    (block,) = media(await llm.anthropic_blocks(stage_of(tmp_path, ("t.png", content))))
    with PIL.Image.open(io.BytesIO(raw(block))) as picture:
        assert picture.getpixel((0, 0))[3] == 0


async def test_more_than_twenty_images_are_scaled_to_what_is_taken_then(tmp_path):
    limits = replace(llm.ANTHROPIC, image_side=8000)
    few = stage_of(tmp_path, *((f"{n}.png", image("PNG", (2001, 3))) for n in range(20)))
    blocks = media(await llm.anthropic_blocks(few, limits=limits))
    assert all(raw(block) == image("PNG", (2001, 3)) for block in blocks)
    many = stage_of(tmp_path, *few.outcomes, ("21.png", image("PNG", (4, 4))))
    blocks = media(await llm.anthropic_blocks(many, limits=limits))
    sizes = [image_facts(io.BytesIO(raw(block)), "image/png") for block in blocks]
    assert {(fact.width, fact.height) for fact in sizes} == {(2000, 3), (4, 4)}


async def test_more_images_than_the_api_takes_are_named(tmp_path):
    """As in a conversation that holds 98 already."""
    limits = replace(llm.ANTHROPIC, max_images=2)
    found = await llm.anthropic_blocks(stage_of(tmp_path, *((f"{n}.png", PNG) for n in range(3))), limits=limits)
    assert len(media(found)) == 2
    assert listing(found)[2].endswith("(more than 2 images)")


async def test_the_first_images_are_the_ones_that_are_sent(tmp_path, monkeypatch):
    """In order of intake, not in that of being ready: here the second is ready first."""
    ready, real = anyio.Event(), _media.plan_of

    async def second_first(number, *rest):
        if number == 1:
            await ready.wait()
        plan = await real(number, *rest)
        ready.set()
        return plan

    monkeypatch.setattr(_media, "plan_of", second_first)
    stage = stage_of(tmp_path, ("1.png", PNG), ("2.png", PNG))
    found = await llm.anthropic_blocks(stage, limits=replace(llm.ANTHROPIC, max_images=1))
    assert listing(found)[0] == "1. '1.png': image 1 above"
    assert listing(found)[1].endswith("(more than 1 images)")


async def test_sixteen_bits_of_grey_become_the_upper_eight(tmp_path):
    content = encoded(PIL.Image.new("I;16", (4, 4), 0x80FF), "TIFF")
    (block,) = media(await llm.anthropic_blocks(stage_of(tmp_path, ("g.tif", content))))
    with PIL.Image.open(io.BytesIO(raw(block))) as picture:
        assert picture.getpixel((0, 0)) == 0x80


async def test_a_pdf_over_the_pages_is_shown_as_text(tmp_path):
    limits = replace(llm.ANTHROPIC, max_pdf_pages=3)
    stage = stage_of(
        tmp_path,
        ("two.pdf", pdf("a", "b")),
        ("two2.pdf", pdf("c", "d")),
        ("one.pdf", pdf("e")),
        ("four.pdf", pdf(*"abcd")),
    )
    found = await llm.anthropic_blocks(stage, limits=limits)
    assert [block["title"] for block in media(found)] == ["two.pdf", "one.pdf"]
    assert (
        listing(found)[1] == "2. 'two2.pdf': its text is below (more than 3 pages in all; the text of a PDF; 2 pages)"
    )
    assert "[page 2]\nd" in found[-2]["text"]
    assert "[page 4]\nd" in found[-1]["text"]


async def test_a_pdf_over_the_bytes_is_shown_as_text(tmp_path):
    limits = replace(llm.ANTHROPIC, max_pdf_bytes=100)
    found = await llm.anthropic_blocks(stage_of(tmp_path, ("a.pdf", DOC)), limits=limits)
    assert media(found) == []
    assert "its text is below (too large: " in listing(found)[0]
    assert "page" in found[-1]["text"]


async def test_an_encrypted_pdf_is_not_sent(tmp_path):
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(DOC))
    writer.encrypt("secret", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    found = await llm.anthropic_blocks(stage_of(tmp_path, ("e.pdf", buffer.getvalue())))
    assert media(found) == []
    assert listing(found)[0].endswith("(it is encrypted (password-protected))")


# The budget


async def test_the_inline_budget_is_kept_and_shared(tmp_path):
    """Small images whole, the large one scaled to its share."""
    small = image("PNG", (40, 40), noise=True)
    large = image("PNG", (700, 700), noise=True)
    stage = stage_of(tmp_path, ("small.png", small), ("large.png", large), ("small2.png", small))
    found = media(await llm.anthropic_blocks(stage, max_inline_mb=0.2))
    assert [raw(block) == small for block in found] == [True, False, True]
    assert 0 < sum(len(raw(block)) for block in found) <= 0.2 * MB


async def test_pdfs_take_what_remains_smallest_first(tmp_path):
    files = [
        (name, pdf(name, ballast=bytes(kb * 1024))) for name, kb in {"a.pdf": 500, "b.pdf": 300, "c.pdf": 400}.items()
    ]
    found = await llm.anthropic_blocks(stage_of(tmp_path, *files), max_inline_mb=0.75)
    assert [block["title"] for block in media(found)] == ["b.pdf", "c.pdf"]
    assert listing(found)[0].startswith("1. 'a.pdf': its text is below (too large: 500.")
    assert "\na.pdf\n" in found[-1]["text"]


async def test_a_budget_of_nothing_sends_nothing_and_names_everything(tmp_path):
    found = await llm.anthropic_blocks(stage_of(tmp_path, ("i.png", PNG), ("d.pdf", DOC)), max_inline_mb=0)
    assert media(found) == []
    assert "cannot be made small enough" in listing(found)[0]
    assert "its text is below" in listing(found)[1]


async def test_no_more_is_sent_than_a_request_takes(tmp_path):
    limits = replace(llm.ANTHROPIC, max_request_bytes=1000)
    content = [(f"{n}.pdf", pdf("x") + b"\n" * 400) for n in range(3)]
    stage = stage_of(tmp_path, *content)
    found = await llm.anthropic_blocks(stage, max_inline_mb=float("inf"), limits=limits)
    assert sum(len(raw(block)) for block in media(found)) <= 1000


@pytest.mark.parametrize("size", [0, 1, 2, 3, 192 * 1024 - 1, 192 * 1024, 192 * 1024 + 1, 400_000])
def test_base64_in_pieces_is_base64(size, tmp_path):
    content = bytes(range(256)) * (size // 256 + 1)
    part = _part(staged_file(tmp_path, "x", b""), content[:size])
    assert shapes.encoded(part, shapes.RESPONSES_SHAPE) == "data:application/pdf;base64," + b64(content[:size])


def _part(file, data):
    return llm.DocumentPart(number=1, outcome=file, name="x", media_type="application/pdf", data=data)


# Extras


@pytest.mark.parametrize("hand_off", ALL)
async def test_without_pillow_what_needs_it_is_named_and_the_rest_is_sent(hand_off, tmp_path, monkeypatch):
    stage = stage_of(
        tmp_path, ("ok.png", PNG), ("b.bmp", image("BMP")), ("wide.png", image("PNG", (9000, 2))), ("d.pdf", DOC)
    )
    hide(monkeypatch, "PIL")
    found = await hand_off(stage)
    assert len(media(found)) == 2
    command = "reading it needs: pip install 'attachment-staging[images]')"
    assert listing(found)[1].endswith("(image/bmp is not taken as it is; " + command)
    assert listing(found)[2].endswith("(9,000 x 2 pixels, the limit is 8,000 a side; " + command)


async def test_heic_names_its_own_extra(tmp_path, monkeypatch):
    hide(monkeypatch, "pillow_heif")
    found = await llm.openai_blocks(stage_of(tmp_path, ("p.heic", b"\0\0\0\x18ftypheic" + bytes(40))))
    assert listing(found)[0].endswith("needs: pip install 'attachment-staging[heif]')")


async def test_heic_is_converted_where_its_extra_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    found = await llm.openai_blocks(stage_of(tmp_path, ("p.heic", image("HEIF", (64, 48)))))
    assert media(found)[0]["image_url"].startswith("data:image/jpeg;base64,")


async def test_without_pypdf_a_pdf_is_sent_uncounted_unless_it_is_encrypted(own_converters, tmp_path, monkeypatch):
    import pypdf

    from staging.llm import _process

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(DOC))
    writer.encrypt("secret", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    stage = stage_of(tmp_path, ("d.pdf", DOC), ("e.pdf", buffer.getvalue()))
    monkeypatch.setattr(_process, "_environment", lambda: {"PYTHONPATH": ""})
    hide(monkeypatch, "pypdf")
    found = await llm.anthropic_blocks(stage)
    assert [block["title"] for block in media(found)] == ["d.pdf"]
    assert "it is encrypted" in listing(found)[1]


# Headers


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (300, 2), (2, 300), (257, 255)])
def test_the_pixels_are_read_from_the_header(kind, size):
    data = image(kind, size)
    assert image_facts(io.BytesIO(data), PIL.Image.MIME[kind]) == ImageFacts(*size)


@pytest.mark.parametrize(
    "data",
    [
        image("WEBP", (31, 17), lossless=True), image("WEBP", (31, 17), "RGBA"),
        image("JPEG", (31, 17), progressive=True), image("JPEG", (31, 17), comment=b"x" * 40_000),
    ],
)  # fmt: skip
def test_every_flavour_of_header_is_read(data):
    media_type = "image/webp" if data.startswith(b"RIFF") else "image/jpeg"
    assert image_facts(io.BytesIO(data), media_type) == ImageFacts(31, 17)


def test_a_gif_moves_if_it_has_two_frames():
    assert image_facts(io.BytesIO(moving_gif()), "image/gif").moves
    assert not image_facts(io.BytesIO(image("GIF", (99, 99), noise=True)), "image/gif").moves


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_cut_header_says_nothing_and_never_raises(kind):
    data = image(kind, (50, 50), noise=True)
    for length in range(len(data)):
        facts = image_facts(io.BytesIO(data[:length]), PIL.Image.MIME[kind])
        assert facts is None or (facts.width, facts.height) == (50, 50)


def test_the_limits_are_consistent():
    for limits in PRESETS:
        assert min(limits.max_image_side, limits.max_side_of_many) >= limits.image_side
        assert limits.max_image_bytes <= limits.max_request_bytes
    assert 4 * llm.ANTHROPIC.max_image_bytes // 3 <= 5_242_880
    assert 4 * llm.ANTHROPIC.max_request_bytes // 3 < 32 * MB


# What it costs


async def test_a_file_of_50_mb_does_not_stall_the_loop(tmp_path, monkeypatch):
    """Between two chances for the loop lie less than 15 ms of the worker's own time, whatever else the machine does."""
    part = _part(staged_file(tmp_path, "x.pdf", b""), os.urandom(50 * MB))
    worked, gaps = [], []

    def watched_sleep(seconds):
        worked.append(time.thread_time())
        sleep(seconds)

    sleep = time.sleep
    monkeypatch.setattr("staging.llm.shapes.time.sleep", watched_sleep)
    async with anyio.create_task_group() as group:

        async def tick():
            while True:
                before = time.perf_counter()
                await anyio.sleep(0.001)
                gaps.append(time.perf_counter() - before)

        group.start_soon(tick)
        medium = await anyio.to_thread.run_sync(shapes.encoded, part, shapes.RESPONSES_SHAPE)
        group.cancel_scope.cancel()
    most = max(after - before for before, after in itertools.pairwise(worked))
    assert len(medium) > 66 * MB
    assert most < 0.1  # it is 2 ms where nothing else runs; held in one piece it would be several hundred


@pytest.mark.parametrize("hand_off", [llm.prompt, llm.openai_blocks])
async def test_the_loop_itself_does_little(hand_off, tmp_path):
    """All that is large happens elsewhere: no step on the event loop takes 15 ms of its thread."""
    text = b"0123456789abcdef" * (20 * MB // 16)
    stage = stage_of(tmp_path, ("d.pdf", pdf("x", ballast=os.urandom(18 * MB))), ("t.txt", text))
    steps = []
    async with anyio.create_task_group() as group:

        async def tick():
            while True:
                before = time.thread_time()
                await anyio.sleep(0.001)
                steps.append(time.thread_time() - before)

        group.start_soon(tick)
        found = await hand_off(stage)
        group.cancel_scope.cancel()
    assert len(str(found)) > 100_000
    assert max(steps) < 0.1  # the same


COST = """
import sys, anyio; sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from llm_stage import FakeStage, staged_file
from staging import llm
def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024
async def main():
    stage = FakeStage(tuple(staged_file(Path(sys.argv[2]), Path(p).name, Path(p)) for p in sys.argv[4:]))
    await llm.anthropic_blocks(FakeStage(stage.outcomes[:0]))
    before = peak()
    found = await getattr(llm, sys.argv[3])(stage)
    print(peak() - before, sum(len(str(block)) for block in found) / 2**20 if 'blocks' in sys.argv[3] else 26)
anyio.run(main)
"""


@pytest.mark.parametrize("hand_off", ALL)
def test_peak_memory_is_at_most_three_times_the_budget(hand_off, tmp_path):
    files = []
    for name, mb in (("a.pdf", 11), ("b.pdf", 8)):
        (tmp_path / name).write_bytes(pdf("x", ballast=os.urandom(mb * MB)))
        files.append(str(tmp_path / name))
    done = subprocess.run(
        [sys.executable, "-c", COST, str(Path(__file__).parent), str(tmp_path), hand_off.__name__, *files],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    grown, sent = map(float, done.stdout.split())
    assert sent > 25
    assert grown < 60
