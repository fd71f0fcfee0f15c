"""How much of real documents is read: words and structure against a reference, seconds and memory, beside other tools.

    python tests/benchmarks/reading.py FOLDER [--python PATH] [--limit N] [--kinds KIND ...]

`FOLDER` holds the documents, such as the unpacked sources of packages whose tests bring some. Word recall is the share
of the reference's words that the tool gives, each as often as there. The references are pdftotext for PDF, LibreOffice
for slides, sheets and old documents, Python for mails, and pandoc for the rest; pandoc also counts headings, rows of
tables and links.
``--python`` names an interpreter that has markitdown and kreuzberg, which are measured beside the readers of this
project. Each reading is a process of its own, so that its memory can be told.
"""

# ruff: noqa: T201  # a command that prints

import argparse
import csv
import email.policy
import hashlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from facts import MOST, Fact, shares  # noqa: E402

TASKS = {
    "pdf": "pdf", "docx": "docx", "xlsx": "xlsx", "xls": "old_sheets", "xlsb": "binary_sheets", "pptx": "pptx",
    "odt": "odf", "ods": "odf", "odp": "odf", "epub": "ebook", "rtf": "rtf", "doc": "old_word", "ppt": "old_slides",
    "eml": "mail", "msg": "outlook", "html": "html", "ipynb": "notebook",
}  # fmt: skip
PANDOC = {"docx": "docx", "odt": "odt", "epub": "epub", "html": "html", "ipynb": "ipynb", "rtf": "rtf"}
FACTS = {"xlsx": "xlsx", "xls": "xlsx", "xlsb": "xlsx", "ods": "xlsx", "pptx": "pptx", "ppt": "pptx", "odp": "pptx",
         "eml": "eml", "msg": "msg"}  # the kind whose library tells the facts  # fmt: skip
_FORMATTED = re.compile(r"^(?=.*\d).*(?:[%$€£/:]|\d,\d)")
CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"

LOOP = """
import json, os, resource, signal, sys, time
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
{imports}
for line in sys.stdin:
    task, path = json.loads(line)
    if os.fork() == 0:
        signal.alarm(60)
        read = prepare()
        start = time.perf_counter()
        text, refusal = read(task, path)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.write(json.dumps([text, time.perf_counter() - start, memory, refusal]) + chr(10))
        answers.flush()
        os._exit(0)
    _, status = os.wait()
    if status:
        end = "hang" if os.WTERMSIG(status) == signal.SIGALRM else "crash"
        answers.write(json.dumps(["", 60.0 * (end == "hang"), 0.0, end]) + chr(10))
        answers.flush()
"""
OURS = """
import io
from staging.llm._converter import output, tasks
from staging.llm._frames import Frames
for task in tasks.TASKS:
    tasks.load(task)
def prepare():
    return read
def read(task, path):
    pipe, said = io.BytesIO(), []
    out, frames = output.Output(pipe), Frames(said.append, 10**9)
    try:
        with open(path, "rb") as source:
            tasks.load(task)(source, out)
    except output.FullError as error:
        out.cut(error.args[0])
    except output.RefusedError as error:
        out.end(error.args[0])
    except Exception:
        out.end(output.BROKEN)  # as the converter does
    frames.feed(pipe.getvalue())
    return "" if frames.refusal else "".join(said), frames.refusal
"""
MARKITDOWN = """
from markitdown import MarkItDown, UnsupportedFormatException
def prepare():  # it has threads, which a fork would lose
    tool = MarkItDown()
    def read(task, path):
        try:
            return tool.convert(path).text_content, ""
        except UnsupportedFormatException:
            return "", "of a kind that it does not read"
    return read
"""
KREUZBERG = """
from kreuzberg import ExtractionConfig, extract_file_sync
def prepare():
    config = ExtractionConfig(output_format="markdown")
    return lambda task, path: (extract_file_sync(path, config=config).content, "")
"""


def run(python: str, code: str, task: str, paths: list[Path]) -> list[tuple[str, float, float, str]]:
    """Return text, seconds, MB and what went wrong, for each of the files.

    A process has the tool loaded and forks for each file, so that neither its start nor the memory of others counts.
    """
    jobs = "".join(json.dumps([task, str(path)]) + "\n" for path in paths)
    command = [python, "-c", LOOP.format(imports=code)]
    done = subprocess.run(command, input=jobs.encode(), capture_output=True, check=False)
    answers = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    if len(answers) != len(paths):
        raise RuntimeError(done.stderr.decode("utf-8", "replace"))
    return answers


def reference(path: Path, kind: str, python: str) -> tuple[str, str, list[Fact]]:
    """Return the reference's words, its Markdown where there is one, and its facts."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            plain, expected = read_by(path, kind, python, folder)
            shown = cells_shown(plain) if FACTS.get(kind) == "xlsx" else []
            return plain, expected, shown + facts_by(path, kind, python, folder)
        except (OSError, subprocess.SubprocessError, ValueError, LookupError):
            return "", "", []


def read_by(path: Path, kind: str, python: str, folder: str) -> tuple[str, str]:
    """Return words and Markdown of the program that knows this kind."""
    if kind in PANDOC:
        return by_pandoc(path, PANDOC[kind])
    if kind == "eml":
        return by_python(path, folder), ""
    if kind == "msg":
        return json.loads(output_of(python, HERE / "facts.py", path, "words")) if python else "", ""
    if kind in {"pdf", "pptx", "odp", "ppt"}:
        pages = [path] if kind == "pdf" else office(folder, "pdf", path)
        return "".join(output_of("pdftotext", pdf, "-") for pdf in pages), ""
    texts = office(folder, "txt:Text (encoded):UTF8" if kind == "doc" else CSV, path)
    plain = "\n".join(text.read_text("utf-8", "replace") for text in texts)
    same = office(folder, "docx", path) if kind == "doc" else []
    return plain, "".join(by_pandoc(text, "docx")[1] for text in same)


def by_pandoc(path: Path, form: str) -> tuple[str, str]:
    plain, markdown = (output_of("pandoc", "-f", form, "-t", to, "--wrap=none", path) for to in ("plain", "gfm"))
    return plain, markdown


def by_python(path: Path, folder: str) -> str:
    """Return the words of a mail, as a program that prefers plain text shows it."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body(("plain", "html"))
    if body is None or body.get_content_type() == "text/plain":
        return body.get_content() if body else ""
    page = Path(folder, "page.html")
    page.write_text(body.get_content(), "utf-8")
    return by_pandoc(page, "html")[0]


def cells_shown(plain: str) -> list[Fact]:
    """Return the cells whose format says more than their number does."""
    cells = [" ".join(cell.split()).casefold() for row in csv.reader(plain.splitlines()) for cell in row]
    formatted = [cell for cell in dict.fromkeys(cells) if len(cell) < 30 and _FORMATTED.search(cell)]
    return [Fact("cell as shown", rf"(?<!\w){_dates(cell)}(?!\w)") for cell in formatted[:MOST]]


def _dates(cell: str) -> str:
    """Return an expression for a cell, whose date may also be told in the order that is the same everywhere."""
    date = re.match(r"(\d\d)/(\d\d)/(\d{4})(?!\d)", cell)
    if not date:
        return re.escape(cell)
    month, day, year = date.groups()
    orders = (re.escape(date[0]), f"{month.lstrip('0')}/{day.lstrip('0')}/{year}", f"{year}-{month}-{day}")
    return f"(?:{'|'.join(orders)}){re.escape(cell[10:])}"


def facts_by(path: Path, kind: str, python: str, folder: str) -> list[Fact]:
    """Return what libraries for this kind tell, or for the newer one that LibreOffice makes of it."""
    known = FACTS.get(kind)
    if not known or not python:
        return []
    for source in [path] if known == kind else office(folder, known, path):
        return [Fact(*fact) for fact in json.loads(output_of(python, HERE / "facts.py", source, known))]
    return []


def output_of(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=60, check=False)
    return done.stdout.decode("utf-8", "replace")


def office(folder: str, form: str, path: Path) -> list[Path]:
    """Return what LibreOffice makes of a document; of a workbook as text it is a file for each sheet."""
    profile = Path(tempfile.gettempdir(), "reading-benchmark-profile").as_uri()  # a new one for each file costs 10 s
    command = ["soffice", f"-env:UserInstallation={profile}", "--headless", "--convert-to", form]
    place = tempfile.mkdtemp(dir=folder)
    subprocess.run([*command, "--outdir", place, str(path)], capture_output=True, timeout=90, check=False)
    return sorted(Path(place).iterdir())


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", re.sub(r"\]\([^)]*\)|<[^>\n]*>", " ", text).lower()))


def recall(text: str, expected: str) -> float | None:
    wanted = words(expected)
    found = words(text)
    return sum(min(n, found[w]) for w, n in wanted.items()) / wanted.total() if wanted.total() >= 5 else None


def structure(text: str, expected: str, facts: list[Fact]) -> float | None:
    """Return the share of the facts, or else of the reference's headings, rows and links, that are there."""
    if facts:
        counts = shares(text, facts).values()
        return sum(found for found, _ in counts) / sum(count for _, count in counts)
    heading, row = r"(?m)^#{1,6} \S|^\S.*\n(?:=+|---+)\s*$", r"(?m)^\s*\|(?=.*\w).*\|\s*$|<tr"  # pictures are no links
    kinds = (heading, row, r"(?<!!)\[(?:[^\[\]\n]|!\[[^\[\]\n]*\])*\]\(\S")
    wanted = [len(re.findall(kind, expected)) for kind in kinds]
    found = [len(re.findall(kind, text)) for kind in kinds]
    return sum(map(min, found, wanted)) / sum(wanted) if sum(wanted) >= 3 else None


def of_kinds(texts: list[str], facts: list[list[Fact]]) -> str:
    """Return for each kind of fact how many were shown, in words."""
    shown, wanted = Counter[str](), Counter[str]()
    for text, known in zip(texts, facts, strict=True):
        for kind, (found, count) in shares(text, known).items():
            shown[kind] += found
            wanted[kind] += count
    return ", ".join(f"{kind} {shown[kind]}/{count}" for kind, count in sorted(wanted.items()))


def cached(path: Path, kind: str, python: str, folder: Path | None) -> tuple[str, str, list[Fact]]:
    """Return what the reference says, which takes seconds for each file, or said before."""
    if folder is None:
        return reference(path, kind, python)
    place = folder / f"{hashlib.sha256(path.read_bytes()).hexdigest()}.{kind}.json"
    if not place.exists():
        folder.mkdir(exist_ok=True, parents=True)
        place.write_text(json.dumps(reference(path, kind, python)))
    plain, expected, facts = json.loads(place.read_text())
    return plain, expected, [Fact(*fact) for fact in facts]


def mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.mean(known):.3f}" if known else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", help="an interpreter with markitdown and kreuzberg")
    parser.add_argument("--tools", nargs="+", choices=("markitdown", "kreuzberg"), default=["markitdown", "kreuzberg"])
    parser.add_argument("--cache", type=Path, help="a folder that keeps what references say")
    parser.add_argument("--limit", type=int, default=25, help="files of one kind")
    parser.add_argument("--kinds", nargs="+", choices=TASKS, default=list(TASKS), help="extensions to read")
    given = parser.parse_args()
    tools = {"ours": (sys.executable, OURS)}
    if given.python:
        codes = {"markitdown": MARKITDOWN, "kreuzberg": KREUZBERG}
        tools |= {tool: (given.python, codes[tool]) for tool in given.tools}
    files = defaultdict(list)
    for path in sorted(given.folder.rglob("*"), key=lambda path: (path.name, path)):
        kind = path.suffix.lower().lstrip(".").replace("htm", "html").replace("htmll", "html")
        if kind in TASKS and path.is_file() and 0 < path.stat().st_size < 20_000_000:
            files[kind].append(path)
    print("| kind | files | " + " | ".join(f"{t}: words, structure, s, MB, none, crash" for t in tools) + " |")
    print("|---|---|" + "---|" * len(tools))
    for kind, task in ((kind, TASKS[kind]) for kind in given.kinds):
        chosen = files[kind][:: max(1, len(files[kind]) // given.limit)][: given.limit]
        if not chosen:
            continue
        expected = [cached(path, kind, given.python or "", given.cache) for path in chosen]
        cells, told = [], []
        for tool, (python, code) in tools.items():
            results = run(python, code, task, chosen)
            read = [recall(r[0], e[0]) for r, e in zip(results, expected, strict=True)]
            kept = [structure(r[0], e[1], e[2]) for r, e in zip(results, expected, strict=True)]
            for path, (_, _, _, wrong), *both in zip(chosen, results, read, kept, strict=True):
                if wrong or any(share is not None and share < 0.8 for share in both):
                    print(f"{tool} {kind} {path}: {wrong} {both}", file=sys.stderr)
            told.append(f"{tool}: {of_kinds([r[0] for r in results], [e[2] for e in expected])}")
            seconds, memory = statistics.median(r[1] for r in results), max(r[2] for r in results)
            wrong = sum(r[3] in {"crash", "hang"} for r in results)
            none = sum(not r[0].strip() for r in results) - wrong
            cells.append(f"{mean(read)}, {mean(kept)}, {seconds:.3f}, {memory:.0f}, {none}, {wrong}")
        print(f"| {kind} | {len(chosen)} | " + " | ".join(cells) + " |", flush=True)
        print(*told, sep="\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
