"""What the values mean: the table with bars and verdicts, and the picture."""

import json
import statistics
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

Samples = dict[str, dict[str, list[dict]]]

NAMES = {
    "staging": "staging",
    "staging_trio": "staging on trio",
    "aiohttp_tuned": "aiohttp, hand-tuned",
    "aiohttp_obvious": "aiohttp, session per download, aiofiles",
    "httpx_plain": "httpx, stream + anyio.open_file",
    "curl": "curl -Z",
    "aria2": "aria2c",
}
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


def median(samples: Samples, scenario: str, contender: str, field: str) -> float | None:
    values = [value[field] for value in samples.get(scenario, {}).get(contender, ()) if field in value]
    return statistics.median(values) if values else None


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs


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

    yield Line("P1", "10 x 50 MB: CPU / hand-tuned aiohttp", against("bulk", "aiohttp_tuned"), bar=1.0)
    yield Line("P1", "10 x 50 MB: CPU / curl -Z", against("bulk", "curl"), aim=1.0)
    yield Line("P2", "300 x 16 KB: CPU / hand-tuned aiohttp", against("small", "aiohttp_tuned"), bar=1.3, aim=1.0)
    yield Line("P2", "300 x 16 KB: CPU / obvious aiohttp", against("small", "aiohttp_obvious"), bar=0.5)
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
    for scenario, work in {"bulk": "10 x 50 MB", "huge": "8 x 500 MB"}.items():
        yield Line("P5", f"growth of memory: {work}", seen(scenario, field="growth_mb"), "MB", 24, 8)
    each = median_ratio(samples, "crowd", "cpu_per_file", "cpu_per_file_of_few")
    yield Line("P6", "10,000 x 1 KB: CPU per file / that of 300 files", each, bar=1.2, aim=1.0)
    slower = median_ratio(samples, "crowd_on_disk", "removal", "rmtree")
    yield Line("P6", "10,000 x 1 KB: removal / shutil.rmtree", slower, bar=1.3, aim=1.0)
    directory = seen("empty", field="directory_ms")
    spent = seen("empty", field="cpu_ms")
    note = "" if directory is None else f"CPU {spent:.2f} ms; a TemporaryDirectory: {directory:.2f} ms"
    yield Line("P7", "enter and leave an empty stage", seen("empty", field="stage_ms"), "ms", 2, 0.5, note)
    for scenario, work in {"bulk": "10 x 50 MB", "small": "300 x 16 KB"}.items():
        slower = ratio(seen(scenario, "staging_trio"), seen(scenario))
        yield Line("P8", f"{work}: CPU on trio / asyncio", slower, bar=1.3, aim=1.1)
    imported = samples.get("import", {})
    heavy = sorted(HEAVY & (modules_of(imported, "staging") - modules_of(imported, "httpx_anyio")))
    note = f"of {len(HEAVY)} heavy packages it imports {', '.join(heavy) or 'none'}" if imported else ""
    weight = against("import", "httpx_anyio")
    yield Line("P9", "import staging: CPU / import httpx, anyio", weight, bar=1.2, aim=1.0, note=note)


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
        "10 x 50 MB, CPU s": ("bulk", "cpu", "aiohttp_tuned"), "wall s": ("bulk", "wall", None),
        "300 x 16 KB, CPU s": ("small", "cpu", "aiohttp_tuned"), "wall s ": ("small", "wall", None),
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
    versions = ", ".join(
        f"{key} {value}" for key, value in known.items() if key not in {"quick", "rounds", "cores", "wanted"}
    )
    work = " of a tenth of the work" if known["quick"] else ""
    return (
        f"Medians of {known['rounds']} interleaved rounds{work} (small files: three times as many); nginx on loopback, "
        f"TLS 1.3, {known['cores']} cores shared by client and server; CPU of the client alone. Only ratios within one "
        f"run count. Stalls: as the clock says / without waiting for a core; that of `curl -Z` is an idle loop's "
        f"beside it. {versions}."
    )


# ── the picture ──────────────────────────────────────────────────────────────────────────────────────────────────────

PANELS = (
    ("bulk", "cpu", "aiohttp_tuned", "10 files of 50 MB\nCPU, hand-tuned aiohttp = 1"),
    ("small", "cpu", "aiohttp_tuned", "300 files of 16 KB\nCPU, hand-tuned aiohttp = 1"),
    ("message", "wall", "aiohttp_obvious", "message at 40 ms\ntime, session per download = 1"),
)
SHOWN = ("staging", "staging_trio", "curl", "aria2", "aiohttp_tuned", "aiohttp_obvious", "httpx_plain")
OURS, THEIRS = "#2563eb", "#a8b0bd"


def write(out: Path, samples: Samples, known: dict) -> None:
    """Write results.json, results.md and results.svg into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    values = {"conditions": known, "samples": samples}
    (out / "results.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    (out / "results.md").write_text(table(samples, known), "utf-8")
    try:
        if any(samples.get(panel[0]) for panel in PANELS):
            draw(out / "results.svg", samples)
    except ImportError:
        sys.stderr.write("  matplotlib is not installed (uv sync --group bench): no picture\n")


def draw(path: Path, samples: Samples) -> None:
    """Draw the clients' costs as bars; shorter is better."""
    import matplotlib as mpl

    mpl.use("svg")
    style = {"svg.hashsalt": "staging", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    mpl.rcParams.update(style)
    from matplotlib import pyplot as plt

    panels = [panel for panel in PANELS if samples.get(panel[0])]
    heights = [len(bars(samples, *panel[:3])) + 1.6 for panel in panels]
    figure, all_axes = plt.subplots(
        len(panels), 1, figsize=(7.2, 0.27 * sum(heights)), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axes, panel in zip(all_axes[:, 0], panels, strict=True):
        draw_panel(axes, bars(samples, *panel[:3]), panel[3])
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None}, facecolor="white")
    plt.close(figure)


def bars(samples: Samples, scenario: str, field: str, base: str) -> list[tuple[str, float]]:
    one = median(samples, scenario, base, field)
    found = [(name, ratio(median(samples, scenario, name, field), one)) for name in SHOWN]
    return [(name, value) for name, value in found if value is not None]


def draw_panel(axes, found: list[tuple[str, float]], title: str) -> None:
    names, values = [NAMES[name] for name, _ in found], [value for _, value in found]
    colours = [OURS if name.startswith("staging") else THEIRS for name, _ in found]
    drawn = axes.barh(names, values, color=colours, height=0.72)
    axes.bar_label(drawn, labels=[f"{value:.2f}" for value in values], padding=4)
    axes.axvline(1, color="#475569", linewidth=0.8, linestyle=":")
    axes.set_title(title.replace("\n", "  ·  "), loc="left", fontsize=9, fontweight="bold")
    axes.set_xlim(0, max(values, default=1) * 1.12)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.spines["left"].set_visible(False)
