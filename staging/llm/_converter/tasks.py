"""Every task: its reader, the libraries that it is loaded with, and its memory."""

import contextlib
import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from staging.llm._converter.bounds import MB, limit_resources
from staging.llm._converter.output import BROKEN, MEMORY, Output, RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How one kind of file is read.

    Attributes:
        module: the module here that reads it.
        reader: its function, ``read(source, out, **options)``.
        libraries: modules that are loaded beforehand, while nothing hostile has been read; missing ones are left out.
        memory: bytes of data that the reader may take.
    """

    module: str
    reader: str = "read"
    libraries: tuple[str, ...] = ()
    memory: int = 40 * MB


TASKS: Mapping[str, Task] = {
    "pdf": Task(module="pdf", libraries=("pypdf",)),
    "pdf_pages": Task(module="pdf", reader="read_pages", libraries=("pypdf",)),
    "docx": Task(module="docx"),
    "xlsx": Task(module="xlsx", libraries=("openpyxl",)),
    "html": Task(module="page"),
    "picture": Task(module="pictures", libraries=("PIL.Image",), memory=460 * MB),
}


def load(task: str) -> Callable[..., None]:
    """Return the task's reader; what is trusted is loaded here, before the bounds are set."""
    for library in TASKS[task].libraries:
        with contextlib.suppress(Exception):  # a broken library is as good as none
            importlib.import_module(library)
    module = importlib.import_module(f"staging.llm._converter.{TASKS[task].module}")
    reader: Callable[..., None] = getattr(module, TASKS[task].reader)
    return reader


def run(
    task: str, source: IO[bytes], pipe: IO[bytes], options: Mapping[str, object], enter: Callable[[], None]
) -> None:
    """Do one task under its bounds and behind its walls, and write what comes of it to `pipe`.

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
    except RefusedError as error:
        out.end(error.args[0])
    except MemoryError:
        out.end(MEMORY)
    except Exception:  # noqa: BLE001  # damage shows itself in every way; the parent tells it in one
        out.end(BROKEN)
    pipe.flush()
