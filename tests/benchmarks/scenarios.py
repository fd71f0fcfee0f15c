"""What is measured: P1 to P15, each with who takes part, how often, and what `measure` is told."""

from collections.abc import Callable
from dataclasses import dataclass

import peers
from server import Server

ALL = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P14", "P15")
SUITE = "P13"  # takes minutes, so it is asked for by name
MB = 1024 * 1024
ROUND_TRIP = 0.040
MEDIA = ("in memory", "on disk")
FAR = {"real": 1, "bare": 0}  # way -> round trips that a connection costs before its first byte
MESSAGE = (4096, 200 * 1024, MB, 3 * MB, 8 * MB)
OWN = ("staging", "staging_trio")
FETCHERS = (*OWN, "aiohttp_tuned", "aiohttp_obvious", "httpx_plain", "curl", "aria2")
LOOPED = (*OWN, "aiohttp_tuned", "aiohttp_obvious", "httpx_plain")  # those that have an event loop of ours
SLOW = {"aiohttp_obvious", "httpx_plain"}  # they take ten times as long as the others


@dataclass(frozen=True)
class Scenario:
    """One thing that the contenders do in turns."""

    name: str
    serves: set[str]  # which of P1 to P15
    contenders: tuple[str, ...]
    task: Callable[[int], dict]  # round -> what measure.py is told
    rounds: int
    slow: int = 2  # rounds of those that are slow, which is enough to tell
    local: bool = False  # needs no server
    where: str = ""  # "in memory" or "on disk"; else in memory, if there is room
    twice: bool = False  # in a row, and the first does not count


def scenarios(server: Server, far: dict[str, int], papers: dict, rounds: int, *, quick: bool) -> list[Scenario]:
    """Return what there is to do, most important first."""
    bulk = (10, 5 * MB) if quick else (10, 50 * MB)
    small = (60 if quick else 300, 16 * 1024)
    huge = (8, 50 * MB) if quick else (8, 500 * MB)
    crowd = 1000 if quick else 10_000
    few = min(rounds, 3)  # for what takes long, or tells the worst of many moments anyway

    def fetch(count: int, size: int, **options) -> Callable[[int], dict]:
        urls = server.urls(count, size)
        return lambda _: {"measure": "fetch", "urls": urls, "bytes": count * size, "ca": str(server.ca), **options}

    def message(port: int) -> Callable[[int], dict]:
        urls = [server.urls(number + 1, size, port)[number] for number, size in enumerate(MESSAGE)]  # five names
        return lambda _: {"measure": "message", "urls": urls, "ca": str(server.ca)}

    def many(count: int) -> Callable[[int], dict]:
        urls, warm = server.urls(count, 1024), server.urls(peers.AT_ONCE, 4096)
        task = {"measure": "many", "urls": urls, "warm": warm, "few": 300, "ca": str(server.ca)}
        return lambda number: {**task, "rmtree_last": bool(number % 2)}

    def hand_off(kind: str) -> Callable[[int], dict]:
        return lambda _: {"measure": "hand_off", "urls": [], "ca": None, **papers[kind]}

    def drips(_: int) -> dict:
        urls, slow = server.urls(1, 1024), server.urls(3 * peers.AT_ONCE, 16 * 1024, under="drip/")
        return {"measure": "drips", "urls": urls, "drips": slow, "ca": str(server.ca)}

    def stages(_: int) -> dict:
        answering, silent = ([server.urls(3, 10_240, port) for port in (*server.ports[:-1], last)]
                             for last in (server.ports[-1], server.silent))  # fmt: skip
        task = {"measure": "stages", "answering": answering, "silent": silent, "count": 100 if quick else 1000}
        return {**task, "urls": [], "ca": str(server.ca)}

    empty = {"measure": "empty", "urls": [], "ca": None}
    return [
        *(Scenario(f"bulk {where}", {"P1", "P5", "P8"}, FETCHERS, fetch(*bulk), rounds, 1, where=where, twice=True)
          for where in MEDIA),
        *(Scenario(f"small {where}", {"P2", "P8"}, FETCHERS, fetch(*small), 2 * rounds, where=where, twice=True)
          for where in MEDIA),
        Scenario("message", {"P3"}, (*OWN, "aiohttp_obvious", "aiohttp_tuned"), message(far["real"]), rounds, rounds),
        Scenario("message_bare", {"P3"}, (*OWN, "aiohttp_obvious", "aiohttp_tuned"), message(far["bare"]), few, few),
        Scenario("stall_bulk", {"P4"}, (*LOOPED, "curl"), fetch(*bulk, heartbeat=True), few, where="on disk"),
        Scenario("stall_small", {"P4"}, (*LOOPED, "curl"), fetch(*small, heartbeat=True), few, where="on disk"),
        Scenario("stall_first", {"P4"}, LOOPED, fetch(1, MB, heartbeat=True, first=True), rounds),
        Scenario("stall_distrust", {"P4"}, LOOPED, fetch(1, MB, heartbeat=True, first=True, ca=None), rounds),
        Scenario("huge", {"P5"}, OWN, fetch(*huge), min(rounds, 2)),
        Scenario("crowd", {"P6"}, OWN[:1], many(crowd), few, twice=True),
        Scenario("crowd_on_disk", {"P6"}, OWN[:1], many(crowd), few, where="on disk"),
        Scenario("empty", {"P7"}, OWN, lambda _: empty, rounds, local=True, where="on disk"),
        Scenario("import", {"P9"}, ("staging", "httpx_anyio"), lambda _: {}, 4 * rounds, local=True),
        Scenario("pdf", {"P10"}, ("staging", "pypdfium2"), hand_off("pdf"), rounds, local=True),
        Scenario("documents", {"P11"}, OWN, hand_off("documents"), rounds, local=True),
        Scenario("photos", {"P12"}, ("staging", "pillow"), hand_off("photos"), rounds, local=True),
        Scenario("drips", {"P14"}, OWN, drips, few),
        Scenario("stages", {"P15"}, OWN, stages, few),
        Scenario("suite", {SUITE}, OWN[:1], lambda _: {}, 1, local=True),
    ]  # fmt: skip
