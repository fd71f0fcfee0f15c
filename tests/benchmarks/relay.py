"""A longer way to a local port: ``python relay.py PORT SECONDS ROUND_TRIPS`` prints its own and serves until killed.

Every byte arrives half a round trip after it was sent, in both directions; the width of the way is not limited. On
loopback a connection is there at once: `ROUND_TRIPS` more are waited for before its first byte goes on (1 is what the
TCP handshake costs on a real way, RFC 9293 section 3.5).
"""

import asyncio
import sys


class Side(asyncio.Protocol):
    """One end; what it hears, the other end says, half a round trip later."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.not_before = 0.0
        self.other: asyncio.Future[Side] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.max_size = 1024 * 1024  # few wake-ups: the relay shares the processor with those it measures

    def data_received(self, data: bytes) -> None:
        self.later(lambda other: other.transport.write(data))

    def connection_lost(self, error: Exception | None) -> None:
        self.later(lambda other: other.transport.close())

    def later(self, act) -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(max(loop.time() + self.delay, self.not_before), lambda: self.pass_on(act))

    def pass_on(self, act) -> None:
        self.other.add_done_callback(lambda other: act(other.result()))


class Front(Side):
    """The end that the client sees."""

    def __init__(self, delay: float, port: int, extra: float) -> None:
        super().__init__(delay)
        self.port = port
        self.extra = extra
        self.tasks: list[asyncio.Task] = []

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self.not_before = asyncio.get_running_loop().time() + self.extra + self.delay
        self.tasks.append(asyncio.get_running_loop().create_task(self.go_on()))

    async def go_on(self) -> None:
        _, back = await asyncio.get_running_loop().create_connection(lambda: Side(self.delay), "127.0.0.1", self.port)
        back.other.set_result(self)
        self.other.set_result(back)


async def main(port: int, round_trip: float, extra: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Front(round_trip / 2, port, extra * round_trip), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
