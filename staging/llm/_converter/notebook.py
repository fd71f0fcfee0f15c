"""Read notebooks (nbformat 4) as Markdown.

Cells come in order with their printed output, and without pictures.
"""

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from staging.llm._converter.detection import decoded
from staging.llm._converter.output import BROKEN, Output

MAX_OUTPUT = 20_000  # characters of one cell's output


def read(source: IO[bytes], out: Output) -> None:
    """Write every cell."""
    try:
        book = json.loads(decoded(source.read())[0])
    except (ValueError, RecursionError):
        out.refuse(BROKEN)
    cells = book.get("cells") if isinstance(book, dict) else None
    if cells is None and isinstance(book, dict):  # nbformat 3 has worksheets
        sheets = [sheet for sheet in _list(book.get("worksheets")) if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in _list(sheet.get("cells"))] if sheets else None
    if not isinstance(cells, list):
        out.refuse(BROKEN)
    metadata = book.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    language = str(info.get("name", "python")) if isinstance(info, dict) else "python"
    language = language if language.isalnum() and len(language) < 20 else "python"
    out.remark(f"{len(cells):,} cell{'s' * (len(cells) != 1)}")
    pictures = 0
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        words = _joined(cell.get("source", cell.get("input", "")))
        if cell.get("cell_type") != "code":
            out.text(words.rstrip() + "\n\n")
            continue
        count = cell.get("execution_count", cell.get("prompt_number"))
        out.text(f"[{count if isinstance(count, int) else ' '}]\n" + _fenced(words, language))
        for shown in _outputs(cell):
            pictures += shown == ""
            out.text(shown or "[picture]\n\n")
    if pictures:
        out.remark(f"{pictures:,} picture{'s' * (pictures != 1)} not shown")


def _outputs(cell: Mapping[str, Any]) -> Iterator[str]:
    """Yield the outputs as text, an empty one for a picture."""
    for output in _list(cell.get("outputs")):
        if not isinstance(output, dict):
            continue
        kind, data = output.get("output_type"), output.get("data")
        data = data if isinstance(data, dict) else output
        if kind == "stream":
            yield _fenced(_joined(output.get("text", "")), "text")
        elif kind in {"error", "pyerr"}:
            trace = "\n".join(map(str, _list(output.get("traceback"))))
            yield _fenced(trace or f"{output.get('ename')}: {output.get('evalue')}", "text")
        elif "text/markdown" in data:
            yield _joined(data["text/markdown"])[:MAX_OUTPUT] + "\n\n"
        elif any(str(key).startswith("image/") or key in {"png", "jpeg", "svg"} for key in data):
            yield ""
        else:
            yield _fenced(_joined(data.get("text/plain", data.get("text", ""))), "text")


def _fenced(text: str, language: str) -> str:
    if not text.strip():
        return ""
    if len(text) > MAX_OUTPUT and language == "text":
        text = f"{text[:MAX_OUTPUT]}\n[… {len(text) - MAX_OUTPUT:,} characters of output omitted …]"
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n\n"


def _joined(source: Any) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
