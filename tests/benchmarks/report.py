"""What the values mean: the table with bars and verdicts."""

import json
import statistics
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import picture
from scenarios import MEDIA
from values import NAMES, Samples, median, ratio

WORK = {"bulk": "10 x 50 MB", "small": "300 x 16 KB"}
HEAVY = {
    "httpcore", "h2", "trio", "rich", "aiohttp", "anthropic", "openai", "discord", "litellm", "mistralai",
    "pydantic_ai", "google", "pypdf", "openpyxl", "PIL", "pillow_heif",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One promise: what was seen, and what must and should be seen at most."""

    id: str
    work: str
    seen: float | None
    unit: str = "x"
    bar: float | None = None
    aim: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.seen is None:
            return "not measured"
        seen = round(self.seen, 2)
        if self.aim is not None and seen <= self.aim:
            return "aim met"
        if self.bar is None:
            return "-" if self.aim is None else "aim missed"
        return "met" if seen <= self.bar else "MISSED"


def median_ratio(samples: Samples, scenario: str, field: str, by: str) -> float | None:
    """Return the median of our ratios of two fields, each within one run."""
    ratios = [value[field] / value[by] for value in samples.get(scenario, {}).get("staging", ())]
    return statistics.median(ratios) if ratios else None


def lines(samples: Samples) -> Iterator[Line]:
    """Yield the table of performance.md, with what was seen."""

    def seen(scenario: str, contender: str = "staging", field: str = "cpu") -> float | None:
        return median(samples, scenario, contender, field)

    def against(scenario: str, peer: str, field: str = "cpu") -> float | None:
        return ratio(seen(scenario, field=field), seen(scenario, peer, field))

    for where in MEDIA:
        bulk, work = f"bulk {where}", f"10 x 50 MB {where}: CPU"
        yield Line("P1", f"{work} / hand-tuned aiohttp", against(bulk, "aiohttp_tuned"), bar=0.95)
        yield Line("P1", f"{work} / curl -Z", against(bulk, "curl"), aim=0.9)
    for where, bar in zip(MEDIA, (1.1, 1.0), strict=True):
        small, work = f"small {where}", f"300 x 16 KB {where}: CPU"
        yield Line("P2", f"{work} / hand-tuned aiohttp", against(small, "aiohttp_tuned"), bar=bar, aim=1.0)
        yield Line("P2", f"{work} / obvious aiohttp", against(small, "aiohttp_obvious"), bar=0.5)
    far = "second message, 40 ms round trip: wall / session per download"
    wall = seen("message", field="wall")
    note = "" if wall is None else f"{wall * 1000:.0f} ms in all"
    yield Line("P3", far, against("message", "aiohttp_obvious", "wall"), bar=0.5, note=note)
    wall = seen("message_bare", field="wall")
    note = "" if wall is None else f"{wall * 1000:.0f} ms in all"
    bare = against("message_bare", "aiohttp_obvious", "wall")
    yield Line("P3", "the same, TCP connections for free", bare, note=note)
    stalls = {
        "stall_bulk": "10 x 50 MB", "stall_small": "300 x 16 KB", "stall_first": "first download of a process",
        "stall_distrust": "first download, the system's trust store",
    }  # fmt: skip
    for scenario, work in stalls.items():
        note = stall_note(samples, scenario)
        yield Line("P4", f"worst stall of the loop: {work}", seen(scenario, field="stall_ms"), "ms", 15, 5, note)
    growing = {f"bulk {where}": f"10 x 50 MB {where}" for where in MEDIA} | {"huge": "8 x 500 MB"}
    for scenario, work in growing.items():
        yield Line("P5", f"growth of memory: {work}", seen(scenario, field="growth_mb"), "MB", 24, 8)
    each = median_ratio(samples, "crowd", "cpu_per_file", "cpu_per_file_of_few")
    yield Line("P6", "10,000 x 1 KB: CPU per file / that of 300 files", each, bar=1.2, aim=1.0)
    slower = median_ratio(samples, "crowd_on_disk", "removal", "rmtree")
    yield Line("P6", "10,000 x 1 KB: removal / shutil.rmtree", slower, bar=1.3, aim=1.0)
    directory = seen("empty", field="directory_ms")
    spent = seen("empty", field="cpu_ms")
    note = "" if directory is None else f"CPU {spent:.2f} ms; a TemporaryDirectory: {directory:.2f} ms"
    yield Line("P7", "enter and leave an empty stage", seen("empty", field="stage_ms"), "ms", 2, 0.5, note)
    for name, where in product(("bulk", "small"), MEDIA):
        slower = ratio(seen(f"{name} {where}", "staging_trio"), seen(f"{name} {where}"))
        yield Line("P8", f"{WORK[name]} {where}: CPU on trio / asyncio", slower, bar=1.3, aim=1.1)
    imported = samples.get("import", {})
    heavy = sorted(HEAVY & (modules_of(imported, "staging") - modules_of(imported, "httpx_anyio")))
    note = f"of {len(HEAVY)} heavy packages it imports {', '.join(heavy) or 'none'}" if imported else ""
    weight = against("import", "httpx_anyio")
    yield Line("P9", "import staging: CPU / import httpx, anyio", weight, bar=1.2, aim=1.0, note=note)
    yield from hand_offs(samples)
    yield from neighbours(samples)


def hand_offs(samples: Samples) -> Iterator[Line]:
    """Yield P10 to P13."""
    pdf = ratio(median(samples, "pdf", "staging", "cpu"), median(samples, "pdf", "pypdfium2", "cpu"))
    yield Line("P10", "text of 600 pages, words placed one by one: CPU / pypdfium2 alone", pdf, bar=1.5, aim=1.1)
    wall = median(samples, "documents", "staging", "wall")
    yield Line("P11", "prompt over 20 small documents", wall, "s", bar=1, aim=0.4)
    photos = ratio(median(samples, "photos", "staging", "cpu"), median(samples, "photos", "pillow", "cpu"))
    yield Line("P12", "10 photos of 12 MP, turned and scaled: CPU / Pillow alone", photos, bar=1.3, aim=1.1)
    note = "".join(value["verdict"] for value in samples.get("suite", {}).get("staging", ()))
    yield Line("P13", "the README's test command", median(samples, "suite", "staging", "wall"), "s", 120, 60, note)


def neighbours(samples: Samples) -> Iterator[Line]:
    """Yield P14 and P15."""

    def seen(scenario: str, field: str) -> float | None:
        return median(samples, scenario, "staging", field)

    alone, work = seen("drips", "alone_ms"), "a small file beside another stage's dripping links"
    bar, aim = (None, None) if alone is None else (2 * alone + 50, 1.2 * alone)
    note = "" if alone is None else f"alone {alone:.1f} ms"
    yield Line("P14", f"{work}, the usual wait", seen("drips", "median_ms"), "ms", bar, aim, note)
    yield Line("P14", f"{work}, the worst of 20", seen("drips", "worst_ms"), "ms", bar, aim, note)
    wall, stalled = seen("stages", "wall"), seen("stages", "stalled")
    note = "" if wall is None else f"{wall:.2f} s when all answer; {stalled:.0f} downloads got no answer"
    work = "1,000 stages at once, one of ten servers silent"
    yield Line("P15", f"{work}: wall / all answer", seen("stages", "wall_ratio"), bar=1.5, note=note)
    yield Line("P15", f"{work}: memory for each download without answer", seen("stages", "mb_each"), "MB", bar=0.3)
    note = "" if wall is None else (
        f"{1000 * 3 / wall:.0f} files a second; a stage that waits: {seen('stages', 'stage_kb'):.0f} KB, "
        f"{seen('stages', 'descriptors_each'):.1f} descriptors, entered in {seen('stages', 'entry_ms'):.2f} ms"
    )  # fmt: skip
    yield Line("P15", "1,000 stages at once, 3 files of 10 KB each, all answer", wall, "s", note=note)


def modules_of(imported: dict[str, list[dict]], contender: str) -> set[str]:
    """Return what an import brought in; httpx brings rich where click is installed too, which is not our doing."""
    return {module for value in imported.get(contender, ()) for module in value["modules"]}


def stall_note(samples: Samples, scenario: str) -> str:
    """Return what the machine had to do with it: median of the loop's own share, and of an idle loop beside curl."""
    own, idle = median(samples, scenario, "staging", "own_ms"), median(samples, scenario, "curl", "stall_ms")
    notes = [] if own is None else [f"{own:.1f} ms without waiting for a core"]
    return "; ".join([*notes, *([] if idle is None else [f"an idle loop: {idle:.1f} ms"])])


def table(samples: Samples, known: dict) -> str:
    """Return the promises, then the clients, as Markdown."""
    return f"{promises(samples, known['wanted'])}\n{clients(samples)}\n{fine_print(known)}\n"


def promises(samples: Samples, wanted: Container[str]) -> str:
    rows = ["| id | work | seen | bar | aim | verdict | |", "|---|---|---:|---:|---:|---|---|"]
    for line in lines(samples):
        if line.seen is None and line.id not in wanted:
            continue
        values = " | ".join(number(value, line.unit) for value in (line.seen, line.bar, line.aim))
        rows.append(f"| {line.id} | {line.work} | {values} | {line.verdict} | {line.note} |")
    return "\n".join(rows) + "\n"


def number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} x" if unit == "x" else f"{value:.2f}".rstrip("0").rstrip(".") + f" {unit}"


def clients(samples: Samples) -> str:
    columns = {
        **{f"{WORK[name]} {where}, {field} s": (f"{name} {where}", field, "aiohttp_tuned" if field == "cpu" else None)
           for name, where, field in product(("bulk", "small"), MEDIA, ("cpu", "wall"))},
        "message at 40 ms, wall s": ("message", "wall", "aiohttp_obvious"),
        "stall ms, bulk": ("stall_bulk", "stall_ms", None), "small": ("stall_small", "stall_ms", None),
        "first": ("stall_first", "stall_ms", None),
    }  # fmt: skip
    columns = {title: column for title, column in columns.items() if column[0] in samples}
    if not columns:
        return ""
    rows = [f"| client | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    for contender, name in NAMES.items():
        cells = [cell(samples, contender, *column) for column in columns.values()]
        if set(cells) - {"-"}:
            rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def cell(samples: Samples, contender: str, scenario: str, field: str, base: str | None) -> str:
    value = median(samples, scenario, contender, field)
    if value is None:
        return "-"
    if field == "stall_ms":
        return f"{value:.1f} / {median(samples, scenario, contender, 'own_ms'):.1f}"
    times = ratio(value, median(samples, scenario, base, field)) if base else None
    return f"{value:.3g}" if times is None else f"{value:.3g} ({times:.2f} x)"


def fine_print(known: dict) -> str:
    told = {"quick", "rounds", "cores", "wanted", "on disk"}
    versions = ", ".join(f"{key} {value}" for key, value in known.items() if key not in told)
    work = " of a tenth of the work" if known["quick"] else ""
    return (
        f"Medians of {known['rounds']} interleaved rounds{work} (small files: twice as many; slow clients: fewer); P1 "
        f"and P2: each client twice in a row, the first dropped; the disk is {known['on disk']}. nginx on loopback, "
        f"TLS 1.3, {known['cores']} cores shared by client and server; CPU of the client alone. Only ratios within "
        f"one run count. Stalls: as the clock says / without waiting for a core; that of `curl -Z` is an idle loop's "
        f"beside it. {versions}."
    )


def write(out: Path, samples: Samples, known: dict) -> None:
    """Write results.json, results.md and results.svg into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    values = {"conditions": known, "samples": samples}
    (out / "results.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    (out / "results.md").write_text(table(samples, known), "utf-8")
    try:
        picture.draw(out / "results.svg", samples)
    except ImportError:
        sys.stderr.write("  matplotlib is not installed (uv sync --group bench): no picture\n")
