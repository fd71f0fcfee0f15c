"""What contents for a model cost: a long PDF, small documents, large photos; beside the library that does the work.

`write` makes the files; the rest runs in a process of its own, see `measure`.
"""

import io
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # the suite's makers of documents

PAGES, WORDS = 600, 450
DOCUMENTS = 20
PHOTOS, PHOTO = 10, (4000, 3000)
UPRIGHT = 6  # EXIF: the picture must be turned by 90 degrees
QUALITY = 85


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def write(folder: Path, *, quick: bool) -> dict[str, dict]:
    """Write everything into `folder`; return what `hand_off` is told of each kind."""
    few = 10 if quick else 1
    made = {
        "pdf": {"long.pdf": long_pdf(PAGES // few)},
        "documents": dict(map(document, range(DOCUMENTS))),
        "photos": dict.fromkeys((f"{number}.jpg" for number in range(PHOTOS // few)), photo()),
    }
    for kind, files in made.items():
        (folder / kind).mkdir()
        for name, content in files.items():
            (folder / kind / name).write_bytes(content)
    told = {kind: {"kind": kind, "paths": [str(folder / kind / name) for name in made[kind]]} for kind in made}
    told["pdf"]["words"] = PAGES // few * WORDS
    return told


def long_pdf(pages: int) -> bytes:
    """Every word is placed by itself, as typesetters do that justify their lines."""
    from llm_stage import flate, pdf

    def page(number: int) -> bytes:
        words = (
            b"1 0 0 1 %d %d Tm (word%d) Tj" % (40 + at % 10 * 52, 780 - at // 10 * 16, number * WORDS + at)
            for at in range(WORDS)
        )
        return flate(b"BT /F1 9 Tf " + b" ".join(words) + b" ET")

    return pdf(contents=[page(number) for number in range(pages)])


def document(number: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a small document, of five kinds in turn; each holds its own name."""
    from llm_stage import docx, pdf, xlsx

    kind = ("pdf", "docx", "xlsx", "html", "eml")[number % 5]
    name = f"paper{number}.{kind}"
    lines = [f"Line {line} of {name} , which says nothing." for line in range(40)]
    if kind == "pdf":
        return name, pdf(*lines[:3])
    if kind == "docx":
        return name, docx("".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in lines))
    if kind == "xlsx":
        return name, xlsx(*([line, at, at / 7] for at, line in enumerate(lines)))
    body = f"<!doctype html><html><body>{''.join(f'<p>{line}</p>' for line in lines)}</body></html>"
    head = f"From: a@example.com\nSubject: {name}\nMIME-Version: 1.0\nContent-Type: text/html\n\n"
    return name, (head * (kind == "eml") + body).encode()


def photo() -> bytes:
    """Return a JPEG as a camera's: many soft shapes, some noise, and a note that it lies on its side."""
    from PIL import Image

    shapes = Image.effect_noise((250, 188), 90).resize(PHOTO, Image.Resampling.BICUBIC)
    noise = Image.effect_noise(PHOTO, 12)
    picture = Image.merge("RGB", (shapes, Image.blend(shapes, noise, 0.3), noise))
    exif = Image.Exif()
    exif[0x0112] = UPRIGHT
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


# ── who reads them ───────────────────────────────────────────────────────────────────────────────────────────────────


async def ours(kind: str, stage) -> list[str]:
    from staging import llm

    if kind == "photos":
        return [block["source"]["data"] for block in await llm.anthropic_blocks(stage) if block["type"] == "image"]
    return [await llm.prompt(stage, max_chars=100_000_000, seconds=300)]


async def pypdfium2(_kind: str, stage) -> list[str]:
    import pypdfium2

    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(stage.paths[0])]


async def pillow(_kind: str, stage) -> list[bytes]:
    from PIL import Image, ImageOps

    from staging import llm

    side, made = llm.ANTHROPIC.image_side, []
    for path in stage.paths:
        with Image.open(path) as picture:
            picture.draft("RGB", (side, side * picture.height // picture.width))  # decodes straight to a half
            picture.thumbnail((side, side))
            out = io.BytesIO()
            ImageOps.exif_transpose(picture).save(out, "JPEG", quality=QUALITY)
            made.append(out.getvalue())
    return made


READERS = {"staging": ours, "pypdfium2": pypdfium2, "pillow": pillow}


async def hand_off(task: dict, root: str, cpu) -> dict:
    """CPU and wall seconds from staged files to what a model is given, converters and their start included."""
    from staging import AttachmentStage

    async with AttachmentStage(root) as stage:
        await stage.download(*map(Path, task["paths"]))
        began, used = time.perf_counter(), cpu()
        given = await READERS[task["client"]](task["kind"], stage)
        found = {"cpu": cpu() - used, "wall": time.perf_counter() - began}
        check(task, [outcome.name for outcome in stage.files], given)
    return found


def check(task: dict, names: list[str], given: list) -> None:
    """What is not all there is not compared."""
    if task["kind"] == "photos":
        lacking = len(names) - len(given)
    else:
        wanted = names if task["kind"] == "documents" else [f"word{number}" for number in range(task["words"])]
        lacking = len(set(wanted) - set(" ".join(given).split()))
    if lacking:
        raise RuntimeError(f"{task['client']} lacks {lacking} of what is in {task['kind']}")
