"""A picture is given so that a provider decodes it and a model sees what its author saw."""

import io
import itertools
import os
import random
import struct
import zlib
from dataclasses import replace

import PIL.Image
import PIL.ImageCms
import PIL.ImageDraw
import pytest
from llm_stage import encoded, image, moving_gif, pdf, stage_of, staged_file

from staging import llm
from staging.llm import _pictures, _process
from staging.llm._converter import pictures, structure
from staging.llm._converter.output import REASONS, Output, RefusedError
from staging.llm._converter.sizes import Bounds, parts
from staging.llm._files import UnreadableError
from staging.llm._frames import Frames
from staging.llm._pictures import Wanted, pages_of, pdf_facts, picture_of, unlocked

pytestmark = pytest.mark.usefixtures("shared_converters")

WANTED = Wanted(max_bytes=3_000_000)
TURNED = {  # EXIF orientation (CIPA DC-008, 4.6.4): where red, green, blue and white of the corners are stored
    1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "GWRB", 7: "WGBR", 8: "BRWG",
}  # fmt: skip
COLOURS = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}


def opened(picture):
    made = PIL.Image.open(io.BytesIO(picture.data))
    made.load()
    assert PIL.Image.MIME[made.format] == picture.media_type
    assert made.size == (picture.width, picture.height)
    return made


def shown(file, wanted=WANTED, *, pillow=True):
    """Return what `picture_of` does, made in this process: the way to another is tested elsewhere."""
    pipe, frames = io.BytesIO(), Frames(str, 100_000_000)
    options = {"tile": wanted.tile, "motion": wanted.motion, "pillow": pillow, **_pictures._bounds(wanted)}
    try:
        pictures.read(io.BytesIO(file.path.read_bytes()), Output(pipe), **options)
    except RefusedError as error:
        raise UnreadableError(REASONS[error.args[0]]) from None
    except (OSError, SyntaxError, ValueError):  # as Pillow tells damage
        raise UnreadableError(REASONS["broken"]) from None
    frames.feed(pipe.getvalue())
    return tuple(_pictures._checked(piece, wanted, file.media_type) for piece in frames.data)


def one(folder, content, wanted=WANTED, name="x", **options):
    (picture,) = shown(staged_file(folder, name, content), wanted, **options)
    return picture, opened(picture)


def near(colour, wanted, by=12):
    return all(abs(a - b) <= by for a, b in zip(colour, wanted, strict=True))


def corners(letters, size):
    """Return a picture of four quarters: upper left, upper right, lower left, lower right."""
    made = PIL.Image.new("RGB", size)
    width, height = size
    for number, letter in enumerate(letters):
        left, upper = number % 2 * width // 2, number // 2 * height // 2
        made.paste(COLOURS[letter], (left, upper, left + width // 2, upper + height // 2))
    return made


def exif(orientation=1):
    """Return EXIF with a position and a name."""
    made = PIL.Image.Exif()
    made[0x0112] = orientation
    made[0x010F] = "SECRET maker"
    made.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    made.get_ifd(0x8825)[1] = "N"
    return made


# Upright, and without what the file says of its author


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("scaled", [False, True], ids=["as large", "scaled"])
def test_it_is_upright(kind, orientation, scaled, tmp_path):
    size = (640, 640) if scaled else (64, 64)
    content = encoded(corners(TURNED[orientation], size), kind, exif=exif(orientation))
    _, made = one(tmp_path, content, replace(WANTED, side=64))
    found = [made.convert("RGB").getpixel(at) for at in ((10, 10), (53, 10), (10, 53), (53, 53))]
    assert all(near(colour, COLOURS[letter]) for colour, letter in zip(found, "RGBW", strict=True)), found
    assert made.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_no_position_and_no_name_is_given(kind, tmp_path):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    content = encoded(corners("RGBW", (64, 64)), kind, exif=exif())
    assert b"SECRET" in content
    picture, made = one(tmp_path, content)
    assert b"SECRET" not in picture.data
    assert not made.getexif().get_ifd(0x8825)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_what_needs_no_change_keeps_its_pixels_exactly(kind, tmp_path):
    content = encoded(corners("RGBW", (64, 48)), kind)
    picture, made = one(tmp_path, content)
    assert picture.remark == ""
    assert made.convert("RGB").tobytes() == PIL.Image.open(io.BytesIO(content)).convert("RGB").tobytes()


def test_what_is_behind_the_end_is_not_given(tmp_path):
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        picture, _ = one(tmp_path, image(kind, (8, 8)) + b"PK\3\4 hidden")
        assert b"hidden" not in picture.data


# Colours


def wide(colour):
    """Return a picture in a profile that exchanges red and blue, so that it is seen whether it is applied."""
    profile = bytearray(PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return PIL.Image.new("RGB", (16, 16), colour), bytes(profile)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colours_of_another_profile_become_srgb(kind, tmp_path):
    made, profile = wide((250, 20, 20))
    text = profile.replace(b"s\0R\0G\0B", b"o\0t\0h\0r")
    picture, shown = one(tmp_path, encoded(made, kind, icc_profile=text))
    assert near(shown.convert("RGB").getpixel((8, 8)), (20, 20, 250), 30), shown.getpixel((8, 8))
    assert picture.remark.startswith("in sRGB")


def test_cmyk_becomes_srgb(tmp_path):
    for kind in ("JPEG", "TIFF"):
        _, made = one(tmp_path, encoded(PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind))
        assert made.mode == "RGB"
        assert near(made.getpixel((8, 8)), (255, 0, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(kind, tmp_path):
    ramp = PIL.Image.frombytes("I;16", (256, 4), b"".join(struct.pack("<H", n * 257) for n in range(256)) * 4)
    picture, made = one(tmp_path, encoded(ramp, kind))
    assert made.mode == "L"
    assert ("in 8 bits" in picture.remark) == (kind == "PNG"), "a TIFF says that it was converted"
    assert all(abs(made.getpixel((n, 2)) - n) <= 1 for n in range(256))


# Transparent


@pytest.mark.parametrize(
    ("ink", "legible_on_white"), [((255, 255, 255), False), ((0, 0, 0), True), ((200, 30, 30), True)]
)
@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_what_is_drawn_on_nothing_can_be_seen(mode, ink, legible_on_white, tmp_path):
    made = PIL.Image.new("RGBA", (120, 40), (*ink, 0))
    PIL.ImageDraw.Draw(made).rectangle([20, 10, 80, 30], fill=(*ink, 255))
    made = made.quantize(8) if mode == "P" else made.convert(mode)
    picture, shown = one(tmp_path, encoded(made, "PNG"))
    sheet = PIL.Image.new("RGBA", shown.size, "white")
    sheet.alpha_composite(shown.convert("RGBA"))
    drawn, ground = (sheet.convert("L").getpixel(at) for at in ((50, 20), (5, 5)))
    assert abs(drawn - ground) > 64
    assert (picture.remark == "") == (legible_on_white or "on white" in picture.remark)
    if legible_on_white:
        assert shown.convert("RGBA").getpixel((5, 5))[3] == 0


# Long, large, many


def chat(width, height):
    made = PIL.Image.new("RGB", (width, height), "white")
    draw = PIL.ImageDraw.Draw(made)
    for y in range(0, height, 40):
        draw.rectangle([20, y + 8, 20 + y % (width - 60), y + 30], fill=(y % 256, y // 256 * 20 % 256, 90))
    return made


@pytest.mark.parametrize("size", [(1080, 9000), (720, 4000), (400, 12_000)])
def test_a_long_screenshot_is_given_in_parts_that_lose_no_row(size, tmp_path):
    whole = chat(*size)
    made = shown(staged_file(tmp_path, "chat.png", encoded(whole, "PNG")), WANTED)
    assert 1 < len(made) <= 8
    end = 0
    for number, picture in enumerate(made, 1):
        assert picture.remark.startswith(f"part {number} of {len(made)} of {size[0]:,} x {size[1]:,}, row ")
        start, last = (int(n.replace(",", "")) for n in picture.remark.rsplit("row ", 1)[1].split(" to "))
        assert start <= max(0, end - 30)
        end = last
        seen = opened(picture)
        assert seen.width >= 0.7 * size[0]
        piece = whole.crop((0, start, size[0], last))
        if seen.size == piece.size:
            assert seen.tobytes() == piece.tobytes()
    assert end == size[1]


def test_a_part_that_is_made_smaller_says_so(tmp_path):
    noise = encoded(PIL.Image.effect_noise((600, 6000), 90), "PNG")
    wanted = replace(WANTED, types=frozenset({"image/png"}), max_bytes=800_000)
    made = shown(staged_file(tmp_path, "noise.png", noise), wanted)
    assert len(made) > 1
    for picture in made:
        seen = opened(picture)
        assert seen.width < 600
        assert f"600 x 900 to image/png, {seen.width} x {seen.height} pixels" in picture.remark


def test_a_long_banner_is_given_in_parts_that_lose_no_column(tmp_path):
    made = shown(staged_file(tmp_path, "banner.png", encoded(chat(4000, 300), "PNG")), WANTED)
    places = [picture.remark.partition("of 4,000 x 300, column ")[2].split(" to ") for picture in made]
    ends = [[int(number.replace(",", "")) for number in place] for place in places]
    assert (ends[0][0], ends[-1][1]) == (0, 4000)
    assert all(after[0] <= before[1] for before, after in itertools.pairwise(ends))


@pytest.mark.parametrize(("most", "parted"), [(100, True), (8, False)])
async def test_one_long_picture_among_others_is_parted_if_the_request_has_room(most, parted, tmp_path):
    names = [(f"{at}.png", image("PNG", (20 + at, 20))) for at in range(6)]
    stage = stage_of(tmp_path, *names, ("chat.png", encoded(chat(720, 4000), "PNG")))
    found = await llm.parts(stage, limits=replace(llm.ANTHROPIC, max_images=most))
    pieces = [part for part in found if part.name == "chat.png" and isinstance(part, llm.ImagePart)]
    assert (len(pieces) > 1) == parted
    assert len(list(found)) <= most


def test_no_parts_where_none_are_wanted_or_nothing_could_be_read(tmp_path):
    file = staged_file(tmp_path, "chat.png", encoded(chat(720, 4000), "PNG"))
    assert len(shown(file, replace(WANTED, tile=False))) == 1
    assert len(shown(staged_file(tmp_path, "a.png", image("PNG", (20, 8000))), WANTED)) == 1


def test_a_page_at_600_dpi_in_black_and_white_is_shown(tmp_path):
    page = PIL.Image.new("1", (4960, 7016), 1)
    PIL.ImageDraw.Draw(page).rectangle([1000, 1000, 3000, 3000], fill=0)
    content = encoded(page, "TIFF", compression="group4", save_all=True, append_images=[page, page])
    assert len(content) < 20_000
    picture, shown = one(tmp_path, content)
    assert shown.size == (1414, 2000)
    assert (shown.getpixel((570, 570)), shown.getpixel((100, 100))) == (0, 255)
    assert picture.remark == (
        "page 1 of 3; converted from image/tiff, 4,960 x 7,016 to image/png, 1,414 x 2,000 pixels"
    )


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_an_animation_the_first_frame_is_shown_and_the_number_told(kind, tmp_path):
    frames = [PIL.Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "lime")]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    picture, shown = one(tmp_path, content)
    assert getattr(shown, "n_frames", 1) == 1
    assert near(shown.convert("RGB").getpixel((20, 20)), (255, 0, 0))
    assert picture.remark.startswith("frame 1 of 3")


def test_a_gif_stays_one_where_the_provider_takes_it(tmp_path):
    picture, shown = one(tmp_path, moving_gif(), replace(WANTED, motion=True))
    assert (picture.media_type, shown.n_frames, picture.remark) == ("image/gif", 2, "it moves, 2 frames")


@pytest.mark.parametrize(
    "bounds",
    [{"max_pixels": 100_000}, {"max_patches": 100}, {"side": 300}, {"max_side": 300}, {"max_bytes": 20_000}],
    ids=str,
)
def test_it_is_scaled_until_it_fits(bounds, tmp_path):
    noise = PIL.Image.frombytes("RGB", (900, 700), random.Random(1).randbytes(900 * 700 * 3))
    wanted = replace(WANTED, **bounds)
    picture, shown = one(tmp_path, encoded(noise, "PNG"), wanted)
    assert wanted.takes(*shown.size)
    assert max(shown.size) <= wanted.side
    assert len(picture.data) <= wanted.max_bytes
    assert abs(shown.width / shown.height - 9 / 7) < 0.03
    assert "from image/png, 900 x 700 to" in picture.remark


def test_sizes_are_the_largest_that_fit():
    assert Bounds(2000).fit(4032, 3024) == (2000, 1500)
    assert Bounds(2000).fit(9000, 100) == (2000, 22)
    assert Bounds(8000).fit(1, 8000) == (1, 8000)
    assert Bounds(8000, patches=4).fit(64, 64) == (64, 64)
    assert Bounds(8000, patches=1).fit(64, 64) == (32, 32)
    assert Bounds(1).fit(1, 100_000) == (1, 1)
    assert parts((3000, 2000), Bounds(2000)) == [(0, 0, 3000, 2000)]
    assert parts((9000, 1080), Bounds(2000))[-1][2] == 9000


def test_only_types_that_are_taken_are_made(tmp_path):
    for kind in ("image/png", "image/jpeg"):
        picture, _ = one(tmp_path, image("BMP", (30, 20)), replace(WANTED, types=frozenset({kind})))
        assert picture.media_type == kind
        picture, _ = one(tmp_path, image("WEBP", (30, 20)), replace(WANTED, types=frozenset({kind})))
        assert picture.media_type == kind


# Damaged


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def noisy(kind):
    return encoded(PIL.Image.frombytes("RGB", (160, 100), random.Random(1).randbytes(48_000)), kind)


def damaged():
    """Yield pictures that no decoder reads: a name and the bytes."""
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        data = noisy(kind)
        for part in (30, len(data) * 4 // 10, len(data) * 9 // 10):
            if kind != "JPEG" or part < len(data) // 2:
                yield f"{kind} of {part}", data[:part]
    png = noisy("PNG")
    flipped = bytearray(png)
    flipped[200] ^= 0xFF
    head = png[:8]
    end = chunk(b"IEND", b"")
    yield "png with another byte", bytes(flipped)
    yield "png without data", head + chunk(b"IHDR", struct.pack(">2I5B", 32, 20, 8, 2, 0, 0, 0)) + end
    yield "png of no size", head + chunk(b"IHDR", struct.pack(">2I5B", 0, 0, 8, 2, 0, 0, 0)) + png[33:]
    yield "png of no colour", head + chunk(b"IHDR", struct.pack(">2I5B", 160, 100, 8, 7, 0, 0, 0)) + png[33:]
    yield "png as text", png[:8] + png[8:].replace(b"\n", b"\r\n")
    yield "gif without picture", b"GIF89a\x08\0\x08\0\0\0\0;"
    yield "webp without picture", b"RIFF\x04\0\0\0WEBP" + bytes(20)


DAMAGED = dict(damaged())


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("extra", ["with Pillow", "without"])
def test_a_damaged_picture_is_refused_before_a_provider_does(name, extra, tmp_path):
    with pytest.raises(UnreadableError, match="damaged"):
        shown(
            staged_file(tmp_path, "x", DAMAGED[name]),
            replace(WANTED, types=WANTED.types | {"application/octet-stream"}),
            pillow=extra == "with Pillow",
        )


SOFT = PIL.Image.frombytes("RGB", (16, 12), random.Random(1).randbytes(576)).resize((320, 240))
EARLY = "it ends early: what is missing is grey"


@pytest.mark.parametrize("side", [2000, 80])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "exif": exif(3)}], ids=len)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_ends_early_is_made_anew_and_says_so(mode, options, side, tmp_path):
    content = encoded(SOFT.convert(mode), "JPEG", **options)
    _, whole = one(tmp_path, content, replace(WANTED, side=side))
    for size in (len(content) - 2, len(content) * 9 // 10):
        picture, made = one(tmp_path, content[:size], replace(WANTED, side=side))
        assert EARLY in picture.remark
        assert picture.data != content[:size]
        assert structure.whole(picture.data, "image/jpeg") == picture.data
        width, height = made.size
        there = (0, height // 3, width, height) if "exif" in options else (0, 0, width, height * 2 // 3)
        off = [abs(a - b) for a, b in zip(made.crop(there).tobytes(), whole.crop(there).tobytes(), strict=True)]
        assert sum(off) < 6 * len(off)


@pytest.mark.parametrize("change", ["no data", "zeros", "a hole"])
def test_a_jpeg_whose_data_are_missing_before_its_end_is_made_anew_and_says_so(change, tmp_path):
    content = encoded(SOFT, "JPEG")
    rest, half = len(content) - len(content) * 6 // 10, content[: len(content) * 6 // 10]
    data = {"no data": half, "zeros": half + bytes(rest), "a hole": half + content[-rest + 500 : -2]}[change]
    picture, _ = one(tmp_path, data + b"\xff\xd9")
    assert picture.remark == EARLY
    with pytest.raises(UnreadableError, match="damaged"):
        one(tmp_path, content[: len(content) * 4 // 10] + b"\xff\xd9")


def test_a_whole_jpeg_that_ends_in_grey_is_given_as_it_is(tmp_path):
    sheet = PIL.Image.new("RGB", (320, 240), (128, 128, 128))
    sheet.paste(SOFT.crop((0, 0, 320, 60)))
    for content in (encoded(sheet, "JPEG"), encoded(sheet.convert("L"), "JPEG", progressive=True)):
        picture, _ = one(tmp_path, content)
        assert picture.remark == ""
        assert picture.data == content


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
@pytest.mark.parametrize("extra", ["with Pillow", "without"])
def test_a_picture_that_lacks_only_the_mark_of_its_end_gets_one(kind, extra, tmp_path):
    content = encoded(SOFT, kind)
    for missing in (1, 7, 12) if kind == "PNG" else (1,):
        picture, made = one(tmp_path, content[: len(content) - missing], pillow=extra == "with Pillow")
        assert picture.data == structure.whole(content, f"image/{kind.lower()}")
        assert made.convert("RGB").tobytes() == PIL.Image.open(io.BytesIO(content)).convert("RGB").tobytes()


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_without_its_last_byte_is_made_anew_and_says_so(lossless, tmp_path):
    content = encoded(SOFT, "WEBP", lossless=lossless)
    picture, made = one(tmp_path, content[:-1])
    assert picture.remark.startswith("it ends early")
    assert picture.media_type != "image/webp"
    assert near(made.convert("RGB").getpixel((300, 200)), SOFT.getpixel((300, 200)), 40)
    assert one(tmp_path, content)[0].remark == ""


async def test_the_converter_makes_the_same_picture_in_its_own_process(tmp_path):
    for content in (encoded(corners("GRWB", (640, 640)), "JPEG", exif=exif(2)), encoded(chat(720, 4000), "PNG")):
        file = staged_file(tmp_path, "x", content)
        assert await picture_of(file, WANTED) == shown(file)


async def test_a_damaged_picture_is_a_line_of_the_list(tmp_path):
    (block,) = await llm.anthropic_blocks(
        stage_of(tmp_path, ("a.png", noisy("PNG")[:3000]), ("b.jpg", noisy("JPEG")[:700]))
    )
    assert block["text"].count("it is damaged or of a kind that cannot be read") == 2


def test_the_structure_is_walked_to_its_end_whatever_is_cut():
    """Each shorter file is refused, and none breaks the walk."""
    for kind in ("PNG", "GIF", "WEBP", "JPEG"):
        data = noisy(kind)
        media_type = structure.kind_of(data[:16])
        assert structure.whole(data, media_type)
        for end in range(16, len(data) - 1, 97):
            with pytest.raises(RefusedError):
                structure.whole(data[:end], media_type)


# Without Pillow


@pytest.fixture
def bare(own_converters, monkeypatch):
    """An application without Pillow, in the converter's process too."""
    monkeypatch.setattr("staging.llm._pictures.is_there", lambda _: False)
    environment = _process._environment()
    kept = [entry for entry in environment["PYTHONPATH"].split(os.pathsep) if not entry.endswith("-packages")]
    monkeypatch.setattr(_process, "_environment", lambda: {**environment, "PYTHONPATH": os.pathsep.join(kept)})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_without_pillow_the_pixels_are_kept_and_the_position_goes(kind, tmp_path):
    options = {} if kind == "GIF" else {"exif": exif()}
    content = encoded(corners("RGBW", (64, 48)), kind, **options)
    picture, made = one(tmp_path, content, pillow=False)
    assert b"SECRET" not in picture.data
    assert made.convert("RGB").tobytes() == PIL.Image.open(io.BytesIO(content)).convert("RGB").tobytes()


def test_without_pillow_a_photo_says_how_it_lies(tmp_path):
    picture, made = one(tmp_path, encoded(corners("RGBW", (64, 48)), "JPEG", exif=exif(6)), pillow=False)
    assert dict(made.getexif()) == {0x0112: 6}
    assert picture.remark == "not turned upright, which needs the extra images"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (image("BMP"), "image/bmp is not taken as it is; reading it needs: pip install 'attachment-staging[images]'"),
        (moving_gif(), "reading it needs: pip install 'attachment-staging[images]'"),
        (image("PNG", (9000, 2)), "9,000 x 2 pixels, the limit is 8,000 a side; reading it needs: pip install"),
        (image("PNG", (900, 900), noise=True), "reading it needs: pip install"),
    ],
    ids=["bmp", "moving", "wide", "large"],
)
async def test_without_pillow_what_would_be_changed_names_the_extra(content, reason, bare, tmp_path):
    with pytest.raises(UnreadableError) as caught:
        await picture_of(staged_file(tmp_path, "x", content), replace(WANTED, max_bytes=1_000_000))
    assert str(caught.value).startswith(reason)


# PDF


async def test_a_pdf_is_counted_drawn_and_unlocked(tmp_path):
    file = staged_file(tmp_path, "a.pdf", pdf("one", "two", "three"))
    assert (await pdf_facts(file)).pages == 3
    drawn = await pages_of(file, 2, 5, WANTED)
    assert [picture.remark for picture in drawn] == ["page 2 of 3", "page 3 of 3"]
    assert all(opened(picture).convert("L").getextrema() == (0, 255) for picture in drawn)
    (small,) = await pages_of(file, 1, 1, replace(WANTED, side=300))
    assert max(small.width, small.height) == 300


def locked(password, algorithm="AES-256"):
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("secret words")))
    writer.encrypt(password, "owner", algorithm=algorithm)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


async def test_a_pdf_that_opens_without_a_password_is_given_without_its_encryption(tmp_path):
    file = staged_file(tmp_path, "a.pdf", locked("", "RC4-128"))
    assert (await pdf_facts(file)).locked
    copy = staged_file(tmp_path, "b.pdf", await unlocked(file, 1_000_000))
    assert not (await pdf_facts(copy)).locked
    (part,) = await llm.parts(stage_of(tmp_path, file))
    assert b"/Encrypt" not in part.data
    assert "encryption" in part.remark


async def test_a_pdf_that_needs_a_password_or_has_no_pages_is_a_reason(tmp_path):
    with pytest.raises(UnreadableError, match="it is encrypted"):
        await pdf_facts(staged_file(tmp_path, "a.pdf", locked("secret", "RC4-128")))
    for content in (pdf(kids=b""), b"%PDF-1.4 not really a pdf\n", b"%PDF-1.7\n" + bytes(3000)):
        with pytest.raises(UnreadableError, match=r"it has no pages|damaged"):
            await pdf_facts(staged_file(tmp_path, "b.pdf", content))


async def test_without_a_library_what_is_no_pdf_is_still_none(bare, tmp_path):
    assert (await pdf_facts(staged_file(tmp_path, "a.pdf", pdf("x")))).pages == 0
    for content in (pdf(kids=b"", contents=[]), b"%PDF-1.4 not really a pdf\n", b"%PDF-1.7\n" + bytes(3000)):
        with pytest.raises(UnreadableError, match=r"it has no pages|damaged"):
            await pdf_facts(staged_file(tmp_path, "b.pdf", content))


async def test_a_pdf_is_shown_as_pictures_of_its_pages(tmp_path):
    limits = replace(llm.OPENAI_CHAT, pdf="images", max_images=6)
    found = await llm.parts(stage_of(tmp_path, ("a.pdf", pdf(*"abcdefghi"))), limits=limits)
    assert [part.remark for part in found][:2] == ["page 1 of 9", "page 2 of 9"]
    assert len(found) == 6
    assert found[-1].remark == "page 6 of 9; the pages after it are not shown"
