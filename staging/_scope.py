"""The life that stages and areas have in common.

A scope ends completely, whatever the reason for its end.

Theory of operation. A scope is new, entering, open, closing or closed, and never goes back. Four parts make its end
certain. `tests/test_scope.py` fails without each of them.

1. What the scope owns lies in an object of its own, its holdings, and a thread puts what it makes there itself. So
   nothing is lost between a thread and the event loop.
2. Entering, and every call inside the scope, runs as a `Call`. The ending can cancel it and wait for it, in whichever
   task either of them is.
3. The ending runs where no cancellation reaches it (`_threads.outlast`), and once, however many tasks ask for it. A
   call that ends its own scope is not waited for: it would wait for itself.
4. A scope that was never left is ended by a finalizer when it is collected, or when the interpreter ends. A
   `ResourceWarning` tells of it.

In a forked child nothing here does anything: what the scope owns is the parent's.
"""

import logging
import os
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import anyio

from staging._errors import StageClosedError
from staging._threads import outlast

_log = logging.getLogger("staging")

T = TypeVar("T")


class Holdings(Protocol):
    """What a scope owns.

    It does not refer to the scope, which otherwise could never be collected.
    """

    def drop(self) -> None:
        """Give up everything that the scope owns.

        It blocks, and never raises. Any thread may call it, at any time and more than once.
        """
        ...


class Call:
    """Work inside a scope, which the scope can end.

    It also tells when the work has ended.
    """

    __slots__ = ("ended", "scope")

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()


_inside: ContextVar[tuple[Call, ...]] = ContextVar("_inside", default=())


class Scope:
    """Is entered once, and left once.

    A subclass says what both mean.

    Args:
        holdings: what it owns.
    """

    _a, _the = "a scope", "the scope"  # what a person calls it

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._state = "new"
        self._owner = os.getpid()
        self._calls: set[Call] = set()
        self._first: list[Callable[[], Awaitable[None]]] = []
        self._ending = anyio.Lock()
        self._finalizer: weakref.finalize[..., Any] | None = None

    async def _enter(self) -> None:
        """Make what the scope needs, into its holdings."""
        raise NotImplementedError

    async def _leave(self, calls: "tuple[Call, ...]") -> None:
        """Give up what the scope has.

        It is called once more if it was interrupted.

        Args:
            calls: those that have been cancelled, and may be waited for.
        """
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise StageClosedError(f"{self._a} lives once: make a new one for each use")
        self._state = "entering"
        self._finalizer = weakref.finalize(self, _forgotten, self._holdings, self._owner, f"{self._a} was never left")
        try:
            await self._run(self._enter, told=f"{self._the} was closed while it was being entered")
        except BaseException:
            await self.aclose()
            raise
        self._state = "open"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the scope.

        It raises nothing of its own, so the caller sees the exception of the body.
        """
        await self.aclose()

    @contextmanager
    def _ending_first(self, ending: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """Await `ending` first if the scope ends inside this block.

        `ending` takes a limited time, and never raises.
        """
        self._first.append(ending)
        try:
            yield
        finally:
            self._first.remove(ending)

    async def aclose(self) -> None:
        """Close the scope, as leaving it does.

        Before the scope is entered, and after it has been closed, this does nothing. It may be called in any task, and
        several times at once: each call returns when the scope has ended. Called by what the scope itself is waiting
        for, it ends everything else.
        """
        if self._state in {"new", "closed"} or os.getpid() != self._owner:
            return
        mine = tuple(call for call in _inside.get() if call in self._calls)
        if mine and self._state == "closing":
            return  # the task that closes it waits for this very call
        self._state = "closing"
        await outlast(self._close, mine)

    async def _close(self, mine: tuple[Call, ...]) -> None:
        async with self._ending:
            if self._state == "closed":
                return
            for call in self._calls:
                call.scope.cancel()
            try:
                for ending in tuple(self._first):
                    await ending()
                await self._leave(tuple(call for call in self._calls if call not in mine))
            except Exception:  # noqa: BLE001  # it would mask the body's exception
                quietly(_log.exception, "Leaving %s failed", self._the)
                self._holdings.drop()
            self._state = "closed"
            if self._finalizer is not None:
                self._finalizer.detach()

    async def _run(self, work: Callable[[], Awaitable[T]], *, told: str) -> T:
        """Return ``await work()``, which ends when the scope is closed.

        Raises:
            StageClosedError: `told`, if that was before it was done.
        """
        call = Call()
        self._calls.add(call)
        token = _inside.set((*_inside.get(), call))
        done: list[T] = []
        try:
            with call.scope:
                done.append(await work())
        finally:
            self._calls.discard(call)
            call.ended.set()
            with suppress(ValueError):  # a coroutine that is thrown away ends in a context that is not its own
                _inside.reset(token)
        if call.scope.cancel_called:
            raise StageClosedError(told)
        return done[0]

    def _must_be_open(self) -> None:
        if self._state in {"new", "entering"}:
            raise StageClosedError(f"{self._the} has not been entered: use it inside `async with`")
        if self._state != "open":
            raise StageClosedError(
                f"{self._the} is closed, and its files are gone: do the work inside its `async with`"
            )
        if os.getpid() != self._owner:
            raise StageClosedError(f"{self._the} belongs to the parent process: a forked child cannot use it")


def _forgotten(holdings: Holdings, owner: int, what: str) -> None:
    if os.getpid() == owner:
        holdings.drop()
        warnings.warn(what, ResourceWarning, stacklevel=2)


def quietly(function: Callable[..., object], *args: object) -> None:
    """Call a function and suppress what it raises.

    It is for functions that are not ours, such as log handlers and observers. Their errors must not break an ending.
    """
    with suppress(BaseException):
        function(*args)
