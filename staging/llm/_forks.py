"""Start and end the fork server.

It is started for the first job. It ends when the last call that may need it has ended.

Theory of operation. An event loop has at most one fork server. Each call that may convert something holds it
(`ForkServer.held`). The first job starts it. When the last holder lets it go, it is killed and reaped before that
holder goes on. So files of one call, and of calls at the same time, share the loaded libraries. Afterwards no process,
no descriptor and no task is left. A process that was forked from this one has event loops of its own, and so servers of
its own.
"""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator
from typing import IO, Any

import anyio
import anyio.lowlevel

from staging._errors import WorkspaceError
from staging._threads import in_thread, outlast
from staging.llm._converter.output import BEGUN
from staging.llm._files import UnreadableError
from staging.llm._frames import BROKE, Frames

_PIECE = 65_536
_PIPE_BYTES = 262_144  # so that a reader that is ahead need not wait for the loop
_UNBEGUN_SECONDS = 0.2  # for a server that may be loading libraries to see that a job is no longer wanted
_KILLED_SECONDS = 5.0  # for a killed converter to be gone; the server itself goes after that


class ForkServer:
    """A process that has the libraries loaded and forks a converter for each job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._holders = 0

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let the process live as long as the block.

        The first job in the block starts it.
        """
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders and self._control is not None:
                try:
                    await in_thread(self._end)
                except WorkspaceError:  # no further thread: it is over in a few milliseconds
                    self._end()

    def start(self, command: list[str], environment: dict[str, str]) -> None:
        """Start the process if it is not there.

        Call it in a worker thread, from a task that holds the process.

        Args:
            command: what to run; the numbers of its socket and of this process are added.
            environment: its environment.

        Raises:
            OSError: if the system has no more processes or descriptors.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            self._close()
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and script
                    [*command, str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the application, which then ends it
                )
            self._control.setblocking(False)

    def send(self, job: dict[str, object], descriptors: list[int]) -> None:
        """Send a job without blocking."""
        if self._control is None:
            raise UnreadableError(BROKE)
        socket.send_fds(self._control, [json.dumps(job).encode()], descriptors)

    def _end(self) -> None:
        """Kill the process and wait for it. For worker threads."""
        with self._lock:
            if not self._holders:
                self._close()

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def run_forked(
    server: ForkServer, source: IO[bytes], frames: Frames, task: str, options: dict[str, object]
) -> int:
    """Run one job, and return its exit status.

    Nothing of the job is left when this returns, raises or is cancelled.
    """
    with contextlib.ExitStack() as opened:
        line = _Line(opened)
        try:
            line.send(server, source, task, options)
            await line.read(frames)
            return await line.status()
        finally:
            if not line.over:
                line.cut()
                with contextlib.suppress(UnreadableError):
                    await outlast(line.status, seconds=_KILLED_SECONDS if line.begun else _UNBEGUN_SECONDS)


class _Line:
    """Holds one job, what its converter says, and its end.

    Attributes:
        over: whether the converter is gone, or never came.
    """

    def __init__(self, opened: contextlib.ExitStack) -> None:
        self._opened = opened
        self._words = -1
        self._line: socket.socket | None = None
        self._told: bytes = b""
        self.over = True

    def send(self, server: ForkServer, source: IO[bytes], task: str, options: dict[str, object]) -> None:
        """Send the job."""
        line, theirs = socket.socketpair()
        self._line = self._opened.enter_context(line)
        line.setblocking(False)
        with theirs:
            self._words, pipe = os.pipe()
            self._opened.callback(os.close, self._words)
            try:
                os.set_blocking(self._words, False)
                with contextlib.suppress(OSError, AttributeError):  # the user's pipes may be as large as they may be
                    fcntl.fcntl(self._words, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # type: ignore[attr-defined,unused-ignore]
                server.send({"task": task, "options": options}, [source.fileno(), pipe, theirs.fileno()])
            finally:
                os.close(pipe)
        self.over = False

    async def read(self, frames: Frames) -> None:
        """Take what the converter says, to its end."""
        while True:
            try:
                piece = os.read(self._words, _PIECE)
            except BlockingIOError:
                await anyio.wait_readable(self._words)
                continue
            if not piece:
                return
            frames.feed(piece)
            await anyio.lowlevel.checkpoint()

    def cut(self) -> None:
        """Have the converter killed."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    @property
    def begun(self) -> bool:
        """Tell whether the server has said that the converter is there."""
        with contextlib.suppress(OSError):
            self._told += self._socket.recv(1) if not self._told else b""
        return bool(self._told)

    async def status(self) -> int:
        """Wait until the converter is gone, and return its exit status."""
        while not self.over:
            try:
                piece = self._socket.recv(_PIECE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            except ConnectionError:
                piece = b""
            self._told += piece
            self.over = not piece
        told = self._told.removeprefix(BEGUN)
        if len(told) != 4:
            raise UnreadableError(BROKE)  # the server itself is gone
        return int.from_bytes(told, "big", signed=True)

    @property
    def _socket(self) -> socket.socket:
        assert self._line is not None  # noqa: S101  # a job was sent
        return self._line


_servers: anyio.lowlevel.RunVar[Any] = anyio.lowlevel.RunVar("_servers")


def server_of_loop() -> ForkServer:
    """Return the event loop's fork server, started or not."""
    try:
        return _servers.get()  # type: ignore[no-any-return]
    except LookupError:
        _servers.set(ForkServer())
        return _servers.get()  # type: ignore[no-any-return]
