"""Fork converters from a process that has the libraries loaded.

This process reads nothing hostile itself.

Theory of operation. The parent sends a job in one packet. It holds task and options as JSON, with three descriptors.
These are the file, a pipe for what the reader finds, and a line. The child gets the file and the pipe. The line stays
here. When the parent shuts its end, the child is killed. When the child has ended, its status goes down the line, and
the line is closed. By then nothing of the child is left, neither a process that it started nor a zombie.

It ends when the parent closes the socket, or when the parent's process ends. That holds even where a child of the
parent still has a copy of the socket. Its own children are killed with it.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import warnings
from typing import NamedTuple, NoReturn

from staging.llm._converter.output import BEGUN, CANNOT_FORK
from staging.llm._converter.sandbox import Sandbox, library_folders
from staging.llm._converter.tasks import load, run

_PACKET = 65_536
_ROUNDS = 100  # of killing what a converter left, should that have children meanwhile


class _Child(NamedTuple):
    """A converter at work.

    Attributes:
        pid: its process, and its group.
        life: a descriptor that can be read when it has ended (pidfd_open(2)).
        line: where its end is told.
    """

    pid: int
    life: int
    line: socket.socket


class Server:
    """Forks a converter for each job.

    Args:
        control: where jobs come from.
        parent: the number of the process that sends them.
    """

    def __init__(self, control: socket.socket, parent: int) -> None:
        self._control = control
        self._pid = os.getpid()
        self._parent = os.pidfd_open(parent)
        self._events = select.poll()
        self._by_life: dict[int, _Child] = {}
        self._by_line: dict[int, _Child] = {}
        self._sandbox = Sandbox(library_folders())
        if os.getppid() != parent:  # it ended before its descriptor was opened
            os._exit(1)

    def serve(self) -> None:
        """Work until the parent closes the socket, or ends."""
        self._sandbox.rear()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        warnings.simplefilter("ignore")
        for number in (self._control.fileno(), self._parent):
            self._events.register(number, select.POLLIN)
        wanted = True
        while wanted:
            for number, _ in self._events.poll():
                if number in self._by_life:
                    self._reap(self._by_life[number])
                elif number in self._by_line:
                    _kill(self._by_line[number].pid)
                elif number == self._parent or not self._take():
                    wanted = False
        for child in list(self._by_life.values()):
            _kill(child.pid)
            self._reap(child)

    def _take(self) -> bool:
        """Take the next job, and return False when there are no more."""
        packet, descriptors, _, _ = socket.recv_fds(self._control, _PACKET, 3)
        if not packet:
            return False
        if len(descriptors) != 3:  # too many are open: the parent finds the line closed
            for number in descriptors:
                os.close(number)
            return True
        job = json.loads(packet)
        source, pipe, number = descriptors
        line = socket.socket(fileno=number)
        with contextlib.suppress(Exception):  # a library that does not load is the child's failure
            load(job["task"])
        cut = select.poll()
        cut.register(line, select.POLLRDHUP)
        try:
            if cut.poll(0):  # the parent no longer wants it: while it waited, or while the libraries were loaded
                line.close()
                return True
            gc.freeze()  # what is here now is shared with the children, and no collection of theirs touches it
            pid = os.fork()
        except OSError as error:  # no more processes
            _tell(line, CANNOT_FORK + (error.errno or 0))
        else:
            if pid == 0:
                self._convert(job, source, pipe)
            self._watch(_Child(pid, os.pidfd_open(pid), line))
            with contextlib.suppress(OSError):  # the parent no longer listens
                line.send(BEGUN, socket.MSG_DONTWAIT)
        finally:
            os.close(source)
            os.close(pipe)
        return True

    def _watch(self, child: _Child) -> None:
        self._by_life[child.life] = child
        self._by_line[child.line.fileno()] = child
        self._events.register(child.life, select.POLLIN)
        self._events.register(child.line, select.POLLRDHUP)

    def _reap(self, child: _Child) -> None:
        """Kill and reap a converter, and tell its status.

        The group is killed while its leader still holds the number. Then processes that left the group are killed.
        They became children of this process (PR_SET_CHILD_SUBREAPER).
        """
        _kill(child.pid)
        _, status = os.waitpid(child.pid, 0)
        for number in (child.life, child.line.fileno()):
            self._events.unregister(number)
        del self._by_life[child.life], self._by_line[child.line.fileno()]
        os.close(child.life)
        known = {other.pid for other in self._by_life.values()}
        for _ in range(_ROUNDS):
            strays = [pid for pid in _children(self._pid) if pid not in known]
            for pid in strays:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if not strays:
                break
        _tell(child.line, os.waitstatus_to_exitcode(status))

    def _convert(self, job: dict[str, object], source: int, pipe: int) -> NoReturn:
        """Be the converter, in the child."""
        try:
            os.setsid()
            self._sandbox.die_with(self._pid)
            os.dup2(source, 0)
            os.dup2(pipe, 1)
            self._sandbox.keep_only(3)
            with open(0, "rb", closefd=False) as file, open(1, "wb", closefd=False) as out:
                run(str(job["task"]), file, out, dict(job["options"]), self._sandbox.enter)  # type: ignore[call-overload]
            os._exit(0)
        finally:
            os._exit(1)  # whatever is raised: a converter never goes on as the server


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # it may not have its group yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _tell(line: socket.socket, status: int) -> None:
    with contextlib.suppress(OSError):  # the parent no longer listens
        line.send(status.to_bytes(4, "big", signed=True), socket.MSG_DONTWAIT)
    line.close()


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as numbers:  # noqa: PTH123  # as in bounds
            return [int(number) for number in numbers.read().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN: seccomp is what holds there
        return []
