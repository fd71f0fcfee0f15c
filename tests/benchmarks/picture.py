"""The picture: what a download costs, beside the other clients."""

from itertools import product
from pathlib import Path

from scenarios import MEDIA
from values import NAMES, Samples, median, ratio

PANELS = (  # title, base, medium -> scenario and field
    ("10 files of 50 MB  ·  CPU, hand-tuned aiohttp = 1", "aiohttp_tuned", {w: (f"bulk {w}", "cpu") for w in MEDIA}),
    ("300 files of 16 KB  ·  CPU, hand-tuned aiohttp = 1", "aiohttp_tuned", {w: (f"small {w}", "cpu") for w in MEDIA}),
    ("message at 40 ms  ·  time, session per download = 1", "aiohttp_obvious", {"in memory": ("message", "wall")}),
)
SHOWN = ("staging", "staging_trio", "curl", "aria2", "aiohttp_tuned", "aiohttp_obvious", "httpx_plain")
COLOURS = {True: {"on disk": "#1d4ed8", "in memory": "#93b4f5"}, False: {"on disk": "#8a93a3", "in memory": "#cbd1da"}}
WIDEST = 3  # what costs more is cut off, so that the others can be told apart; its number stands beside it


def draw(path: Path, samples: Samples) -> None:
    """Draw the clients' costs as bars; shorter is better."""
    import matplotlib as mpl

    mpl.use("svg")
    style = {"svg.hashsalt": "staging", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    mpl.rcParams.update(style)
    from matplotlib import pyplot as plt

    panels = [(title, found) for title, *what in PANELS if (found := bars(samples, *what))]
    if not panels:
        return
    heights = [len(found) + 1.6 for _, found in panels]
    figure, all_axes = plt.subplots(
        len(panels), 1, figsize=(7.2, 0.34 * sum(heights)), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axes, (title, found) in zip(all_axes[:, 0], panels, strict=True):
        draw_panel(axes, title, found)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None}, facecolor="white")
    plt.close(figure)


def bars(samples: Samples, base: str, media: dict[str, tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Return client -> medium -> how many times the base's."""
    found: dict[str, dict[str, float]] = {}
    for (where, (scenario, field)), name in product(media.items(), SHOWN):
        value = ratio(median(samples, scenario, name, field), median(samples, scenario, base, field))
        if value is not None:
            found.setdefault(name, {})[where] = value
    return {name: found[name] for name in SHOWN if name in found}


def draw_panel(axes, title: str, found: dict[str, dict[str, float]]) -> None:
    for at, (name, values) in enumerate(found.items()):
        thick = 0.39
        for row, (where, value) in enumerate(sorted(values.items(), reverse=True)):  # on disk first
            place, colour = at + (row - (len(values) - 1) / 2) * thick, COLOURS[name.startswith("staging")][where]
            axes.barh(place, min(value, WIDEST), color=colour, height=thick)
            told = f"{value:.2f} {where}" if len(values) > 1 else f"{value:.2f}"
            axes.text(min(value, WIDEST) + 0.02, place, told, va="center", fontsize=7)
    axes.set_yticks(range(len(found)), [NAMES[name] for name in found])
    axes.axvline(1, color="#475569", linewidth=0.8, linestyle=":")
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axes.set_xlim(0, 1.25 * min(WIDEST, max(value for values in found.values() for value in values.values())))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.spines["left"].set_visible(False)
