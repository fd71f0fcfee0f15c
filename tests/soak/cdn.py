"""The soak's server, a process of its own: each fault of `staging.testing` under its own path, and what it allows.

The query says which bytes are right, so that whoever downloads can tell: ``/resume?size=5000&seed=7``.
"""

import json
import random
import ssl
import sys
from dataclasses import dataclass
from urllib.parse import parse_qs

import anyio

from staging import Limits, UrlPolicy
from staging.testing import Chunked, Drip, Endless, FakeCDN, Length, Raw, Reply, Reset, Stall, Truncate, gzip_bomb

LIMITS = Limits(max_mb=2, timeout=20, idle_timeout=4, retries=2)
BUSY = frozenset({"timeout", "stalled", "storage"})  # what a starved machine makes of anything; counted apart

_BOMB = gzip_bomb(64 * 1_048_576)
_ZEROS = bytes(65_536)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Fault:
    """What is served, and what may become of it.

    Args:
        serve: makes the reply from the request, the right bytes and a die.
        allowed: ``staged``, or the reasons of a failure.
        weight: how often it is asked for.
    """

    serve: object
    allowed: frozenset
    weight: int = 2


def fault(serve, allowed, weight=2):
    return Fault(serve, frozenset(allowed.split()), weight)


def _broken_once(request, body, dice):
    return Reply(body) if request.header("range") else Reply(body, Reset(at=len(body) // 2))


def _changed(request, body, dice):
    return Reply(body[::-1]) if request.header("range") else Reply(body, Reset(at=len(body) // 2))


def _other_part(request, body, dice):
    body += b"xx"
    if not request.header("range"):
        return Reply(body, Reset(at=len(body) // 2))
    headers = {"Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}"}
    return Reply(body, status=206, headers=headers, etag=Reply(body).etag)


def _redirected(request, body, dice):
    return Reply(status=302, headers={"Location": f"/good?{request.target.partition('?')[2]}"})


FAULTS = {
    "good": fault(lambda request, body, dice: Reply(body), "staged", 12),
    "chunked": fault(lambda request, body, dice: Reply(body, Chunked(max(500, len(body) // 50))), "staged", 4),
    "closing": fault(lambda request, body, dice: Reply(body, Length()), "staged"),
    "drip": fault(lambda request, body, dice: Reply(body, Drip(len(body) // 20 + 1, every=0.005)), "staged"),
    "redirected": fault(_redirected, "staged"),
    "resume": fault(_broken_once, "staged interrupted", 6),  # it gives up where less than a byte came
    "changed": fault(_changed, "staged interrupted", 3),
    "flaky": fault(
        lambda request, body, dice: Reply(body, *([Reset("start")] if dice.random() < 0.5 else [])),
        "staged interrupted", 3,
    ),
    "busy": fault(
        lambda request, body, dice: Reply(b"", status=503, headers={"Retry-After": "0"})
        if dice.random() < 0.5 else Reply(body), "staged http_status", 3,
    ),
    "excess": fault(lambda request, body, dice: Reply(body + b"excess", Length(len(body))), "staged"),
    "truncated": fault(
        lambda request, body, dice: Reply(body + b"x", Truncate(at=len(body) // 2), etag=None),
        "size_mismatch interrupted", 3,
    ),
    "truncated_chunks": fault(
        lambda request, body, dice: Reply(body + b"x", Chunked(), Truncate(at=len(body) // 2)), "interrupted"
    ),
    "reset": fault(
        lambda request, body, dice: Reply(body + b"xx", Reset(at=dice.choice(["start", "head", 0, 1])), etag=None),
        "interrupted",
    ),
    "other_part": fault(_other_part, "interrupted"),
    "stall": fault(lambda request, body, dice: Reply(body + b"x", Stall(at=len(body) // 2)), "stalled", 1),
    "endless_drip": fault(lambda request, body, dice: Reply(b"x", Endless(), Drip(1, every=0.5)), "timeout", 1),
    # for `hostile`, which asks for them by name
    "slow_drip": fault(lambda request, body, dice: Reply(_ZEROS, Drip(1, every=0.05)), "timeout", 0),
    "declared": fault(lambda request, body, dice: Reply(b"", Length(50 * 1_048_576), Stall(0)), "stalled", 0),
    "one_byte_chunks": fault(
        lambda request, body, dice: Raw(b"1\r\nx\r\n" * 4000, Endless(), head=_CHUNKED), "protocol timeout", 0
    ),
    "bomb": fault(lambda request, body, dice: Reply(_BOMB, headers={"Content-Encoding": "gzip"}), "encoding"),
    "declared_huge": fault(lambda request, body, dice: Reply(b"", Length(10**12), Stall(0)), "too_large"),
    "endless": fault(lambda request, body, dice: Reply(_ZEROS, Endless(), Length()), "too_large", 1),
    "endless_chunks": fault(lambda request, body, dice: Reply(_ZEROS, Endless(), Chunked(9_999)), "too_large", 1),
    "junk": fault(lambda request, body, dice: Raw(dice.randbytes(300)), "protocol interrupted"),
    "header_bomb": fault(
        lambda request, body, dice: Raw(b"X: y\r\n", Endless(), head=b"HTTP/1.1 200 OK\r\n"), "protocol", 1
    ),
    "interim_bomb": fault(lambda request, body, dice: Raw(b"HTTP/1.1 100 Go on\r\n\r\n", Endless()), "protocol", 1),
    "lengths": fault(lambda request, body, dice: Reply(body, Length("5", "6")), "protocol"),
    "smuggled": fault(lambda request, body, dice: Reply(body, Chunked(), headers={"Content-Length": "3"}), "protocol"),
    "unasked_part": fault(
        lambda request, body, dice: Reply(body, status=206, headers={"Content-Range": "bytes 0-4/5"}), "protocol"
    ),
    "missing": fault(lambda request, body, dice: Reply(b"no", status=404), "not_found"),
    "forbidden": fault(lambda request, body, dice: Reply(b"no", status=403), "forbidden"),
    "broken": fault(lambda request, body, dice: Reply(b"no", status=500), "http_status", 1),
    "circle": fault(lambda request, body, dice: Reply(status=302, headers={"Location": request.target}), "redirects"),
    "elsewhere": fault(
        lambda request, body, dice: Reply(_BOMB, status=301, headers={"Location": "http://169.254.169.254/"}),
        "not_allowed private_address",
    ),
}  # fmt: skip


def body_of(size, seed):
    """Return the right bytes."""
    return random.Random(seed).randbytes(size)


def right_bodies(name, size, seed):
    """Return what a staged file may hold."""
    body = body_of(size, seed)
    return {body, body[::-1]} if name == "changed" else {body}


def policy_of(ports):
    """Return the policy that admits this server."""
    return UrlPolicy.only("127.0.0.1", "localhost", schemes=("http", "https"), ports=tuple(ports), private=True)


class Chooser:
    """Makes up what to ask for."""

    def __init__(self, ports, seed):
        self.dice = random.Random(seed)
        self.bases = (f"http://127.0.0.1:{ports[0]}", f"https://localhost:{ports[1]}")
        self.names, self.weights = [*FAULTS], [fault.weight for fault in FAULTS.values()]

    def one(self, name=None):
        """Return (URL, name of the fault, size, seed)."""
        name = name or self.dice.choices(self.names, self.weights)[0]
        low, high = self.dice.choices([(0, 2), (3, 5000), (50_000, 300_000), (1_000_000, 2_097_000)], [1, 14, 4, 1])[0]
        size, seed = self.dice.randint(low, high), self.dice.getrandbits(40)
        base = self.bases[self.dice.random() < 0.2]
        return f"{base}/{name}?size={size}&seed={seed}", name, size, seed

    def several(self, most=6):
        return [self.one() for _ in range(self.dice.randint(1, most))]


def _script(name, dice):
    def reply(request):
        query = parse_qs(request.target.partition("?")[2])
        return FAULTS[name].serve(request, body_of(int(query["size"][0]), int(query["seed"][0])), dice)

    return reply


async def serve(certificate):
    """Serve until standard input ends."""
    context, dice = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), random.Random()
    context.load_cert_chain(certificate)
    async with FakeCDN() as plain, FakeCDN(host="localhost", tls=context) as secure, anyio.create_task_group() as group:
        for cdn in (plain, secure):
            for name in FAULTS:
                cdn.script(f"/{name}", _script(name, dice))
        sys.stdout.write(json.dumps([plain.port, secure.port]) + "\n")
        sys.stdout.flush()
        group.start_soon(_forget, plain, secure)
        await anyio.to_thread.run_sync(sys.stdin.read)
        group.cancel_scope.cancel()


async def _forget(*cdns):
    """Keep a server that remembers every request from filling the machine's memory."""
    while True:
        await anyio.sleep(1)
        for cdn in cdns:
            cdn.requests.clear()
            cdn.server_names.clear()


if __name__ == "__main__":
    anyio.run(serve, sys.argv[1])
