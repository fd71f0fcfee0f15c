"""What was measured, and how it is looked at."""

import statistics

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


def median(samples: Samples, scenario: str, contender: str, field: str) -> float | None:
    values = [value[field] for value in samples.get(scenario, {}).get(contender, ()) if field in value]
    return statistics.median(values) if values else None


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs
