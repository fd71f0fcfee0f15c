"""A scriptable hostile CDN on loopback, for tests.

With it a test sees what a program does with downloads that go wrong.

`FakeCDN` is a real HTTP/1.1 server that serves what it is told and misbehaves as it is told, on asyncio and trio::

    from staging import AttachmentStage
    from staging.testing import FakeCDN, Reply, Reset, assert_empty

    async def test_my_bot_survives_a_broken_connection(tmp_path):
        async with FakeCDN() as cdn:
            photo = cdn.script("/photo.png", Reply(PNG, Reset(at=100)), Reply(PNG))   # breaks once, then works
            async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                await stage.download(photo)
                assert "Downloaded: Yes" in await my_bot.answer(stage)
            assert [request.header("range") for request in cdn.requests] == [None, "bytes=100-"]
        assert_empty(tmp_path)

A reply is a body and any number of faults, which combine: ``Reply(data, Drip(1, every=0.3), Truncate(at=-1))``.

| fault | what the client sees |
|---|---|
| `Drip` | the body (or the head too) in small pieces, with a pause after each |
| `Stall` | nothing more, until it goes away |
| `Reset`, `Truncate` | the connection reset (RST), or closed too early (FIN) |
| `Hold` | nothing more until the test releases it: tests need no sleep |
| `Length`, `Chunked`, `Endless` | a wrong or missing Content-Length, chunks of any size, a body without end |

They strike `at` a number of body bytes (negative: counted from the end, as in a slice), or at ``"start"`` (before the
first byte of all), ``"head"`` (in the middle of the head) or ``"end"`` (after the body, before its last chunk).

Everything else is a plain reply: statuses, redirects, wrong 206es, changed ETags and header bombs are arguments of
`Reply`; what is not even HTTP is `Raw`. Bodies under a strong ETag honour Range and If-Range (RFC 9110, 13.1.5, 14.2).
"""

from types import FunctionType

from staging.testing.faults import (
    At,
    Chunked,
    Drip,
    Endless,
    Fault,
    Headers,
    Hold,
    Length,
    Raw,
    Reply,
    Request,
    Reset,
    Script,
    Stall,
    TlsFault,
    Truncate,
    gzip_bomb,
)
from staging.testing.leftovers import assert_empty
from staging.testing.server import FakeCDN

__all__ = [
    "At",
    "Chunked",
    "Drip",
    "Endless",
    "FakeCDN",
    "Fault",
    "Headers",
    "Hold",
    "Length",
    "Raw",
    "Reply",
    "Request",
    "Reset",
    "Script",
    "Stall",
    "TlsFault",
    "Truncate",
    "assert_empty",
    "gzip_bomb",
]

for _name in __all__:  # tracebacks, docs and pickles show the public names
    _value = globals()[_name]
    if isinstance(_value, type | FunctionType):
        _value.__module__ = __name__
