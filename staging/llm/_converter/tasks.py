"""List every task with its reader, libraries and memory."""

import contextlib
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import IO, NamedTuple

from staging.llm._converter.bounds import MB, limit_resources
from staging.llm._converter.output import BROKEN, MEMORY, FullError, Output, RefusedError


class Task(NamedTuple):
    """How one kind of file is read.

    Attributes:
        module: the module here that reads it.
        reader: its function, ``read(source, out, **options)``.
        libraries: modules that are loaded beforehand, while nothing hostile has been read. Missing ones are left out.
        memory: bytes of data that the reader may take.
    """

    module: str
    reader: str = "read"
    libraries: tuple[str, ...] = ()
    memory: int = 40 * MB


DECODERS = tuple(
    f"PIL.{kind}ImagePlugin"
    for kind in ("Jpeg", "Mpo", "Png", "Gif", "WebP", "Bmp", "Ppm", "Tiff", "Ico", "Avif", "Jpeg2K", "Psd")
)
"""Decoders of pictures; to load them costs as much as a small photo."""

_PILLOW = (*DECODERS, "PIL.ImageOps", "PIL.ImageCms")
_PAGES = ("selectolax.lexbor", "charset_normalizer")
_ZIP = "encodings.cp437"  # of the names in it; like all that a reader imports later, each process would load it

TASKS: Mapping[str, Task] = {
    "pdf": Task(module="pdf", libraries=("pypdfium2",), memory=128 * MB),
    "encoding": Task(module="detection", reader="tell_encoding", libraries=("charset_normalizer",), memory=80 * MB),
    "docx": Task(module="word", libraries=(_ZIP, *_PAGES), memory=80 * MB),
    "xlsx": Task(module="sheets", libraries=(_ZIP,), memory=80 * MB),
    "binary_sheets": Task(module="binary_sheets", libraries=(_ZIP,), memory=80 * MB),
    "old_sheets": Task(module="old_sheets", libraries=("xlrd",), memory=80 * MB),
    "pptx": Task(module="slides", libraries=(_ZIP,), memory=80 * MB),
    "odf": Task(module="odf", libraries=(_ZIP,), memory=80 * MB),
    "rtf": Task(module="rtf"),
    "old_word": Task(module="old_word", libraries=("olefile",), memory=80 * MB),
    "old_slides": Task(module="old_slides", libraries=("olefile",), memory=80 * MB),
    "outlook": Task(module="outlook", libraries=("olefile", *_PAGES), memory=80 * MB),
    "ole": Task(module="ole"),
    "ebook": Task(module="ebook", libraries=(_ZIP, *_PAGES), memory=80 * MB),
    "mail": Task(module="mail", libraries=("email.parser", *_PAGES), memory=80 * MB),
    "notebook": Task(module="notebook", memory=80 * MB),
    "archive": Task(module="archive", libraries=(_ZIP, *_PAGES), memory=80 * MB),
    "html": Task(module="page", libraries=_PAGES, memory=128 * MB),
    "picture": Task(module="pictures", libraries=_PILLOW, memory=460 * MB),
    "heif": Task(module="pictures", libraries=(*_PILLOW, "pillow_heif"), memory=460 * MB),
    "pdf_facts": Task(module="pdf_pictures", reader="read_facts", libraries=("pypdfium2",), memory=200 * MB),
    "pdf_unlocked": Task(module="pdf_pictures", reader="read_unlocked", libraries=("pypdfium2",), memory=200 * MB),
    "pdf_pictures": Task(module="pdf_pictures", libraries=(*_PILLOW, "pypdfium2"), memory=460 * MB),
}


def memory_of(task: str) -> str:
    """Return the memory that a task may take, in words."""
    return f"{TASKS[task].memory // MB} MB of memory"


def load(task: str) -> Callable[..., None]:
    """Return the task's reader.

    Trusted libraries are loaded here, before the bounds are set.
    """
    for library in TASKS[task].libraries:
        with contextlib.suppress(Exception):  # a broken library counts as missing
            importlib.import_module(library)
    module = importlib.import_module(f"staging.llm._converter.{TASKS[task].module}")
    reader: Callable[..., None] = getattr(module, TASKS[task].reader)
    return reader


def run(
    task: str, source: IO[bytes], pipe: IO[bytes], options: Mapping[str, object], enter: Callable[[], None]
) -> None:
    """Do one task under its bounds, and write the result to `pipe`.

    The process enters its walls before it reads the file.

    Args:
        task: a key of `TASKS`.
        source: the hostile file.
        pipe: takes frames.
        options: the reader's.
        enter: raises the walls, after the libraries are loaded and before the first byte is read.
    """
    out = Output(pipe)
    reader = load(task)
    limit_resources(TASKS[task].memory)
    warnings.simplefilter("ignore")
    enter()
    try:
        reader(source, out, **options)
        out.check()
    except FullError as error:
        out.cut(error.args[0])
    except RefusedError as error:
        out.end(error.args[0])
    except MemoryError:
        out.end(MEMORY) if out.blank else out.cut(memory_of(task))
    except Exception:  # noqa: BLE001  # damaged input raises anything; the parent reports one reason
        out.end(BROKEN)
    pipe.flush()
