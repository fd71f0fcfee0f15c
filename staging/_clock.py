"""The time limits of downloads.

Theory of operation. A download may take `timeout` seconds in all, and its peer may be silent for `idle_timeout`. A
timer for each would cost a small file more than its bytes do. So a clock only notes when it was told something, and one
task for all clocks of a call looks at them (`watch`). It ends a download through the cancel scope of the worker that
makes it. A worker needs a new scope only when the old one has been used.
"""

from collections.abc import Callable, Sequence

import anyio

from staging._budget import Reservation
from staging._errors import DownloadError, StagingError, WorkspaceError
from staging._models import Limits
from staging._threads import checkpoint, timer

_NEVER = float("inf")
_LOOKS = 8  # in one idle timeout: a silence ends after that time, or up to an eighth of it later
_SHORTEST = 0.001  # seconds between two looks
_ROUNDS = 2  # of the loop before a look: if the process stood still, the bytes that have come count first


class Clock:
    """Limits one download at a time, and each silence in it.

    Args:
        limits: of the stage.

    Attributes:
        scope: what is cancelled to end the download.
        error: why it was ended, if it was.
        on_look: called at each look.
    """

    __slots__ = (
        "_end", "_limits", "_now", "_reservation", "_since", "_step", "_waits_for_disk", "error", "on_look", "scope",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._now = timer()
        self._reservation: Reservation | None = None
        self._end = self._since = _NEVER
        self._step = ""
        self._waits_for_disk = False
        self.error: StagingError | None = None
        self.on_look: Callable[[], object] = bool
        self.scope: anyio.CancelScope  # made by `wind`

    def wind(self) -> "anyio.CancelScope":
        """Make the clock ready for use, and return its scope."""
        self.error, self.scope = None, anyio.CancelScope()
        return self.scope

    def start(self, reservation: Reservation) -> None:
        """Count the time of a download from now."""
        self._reservation = reservation
        reservation.give_up = self._give_up
        self.await_peer()
        self._end = self._since + self._limits.timeout

    def stop(self) -> None:
        """Let no limit hold until the next `start`."""
        self._end = self._since = _NEVER
        if self._reservation is not None:
            self._reservation.give_up = None

    @property
    def left(self) -> float:
        """Seconds until the limit of the whole download."""
        return self._end - self._now()

    def await_peer(self, step: str = "") -> None:
        """Allow the peer a silence of the idle timeout from now.

        Args:
            step: what is waited for, if it is no data, in words.
        """
        self._step = step
        self._waits_for_disk = False
        self._since = self._now()

    def await_disk(self) -> None:
        """Allow our own disk to hang for the idle timeout."""
        self._waits_for_disk = True
        self._since = self._now()

    def await_end(self) -> None:
        """Count only the limit of the whole download from now."""
        self._since = _NEVER

    def look(self) -> float:
        """End the download if it is late, and return when it would be."""
        self.on_look()
        now, due = self._now(), min(self._end, self._since + self._limits.idle_timeout)
        if due > now:
            return due
        if self.error is not None:
            return _NEVER
        idle, step = self._limits.idle_timeout, f", while {self._step}" if self._step else ""
        late: StagingError
        if now >= self._end:
            detail = f"timeout: not finished within {self._limits.timeout:g} seconds{step}"
            late = DownloadError("timeout", detail, limit=self._limits.timeout)
        elif self._waits_for_disk:
            late = WorkspaceError("storage", f"the disk hangs: {idle:g} seconds for one write")
        elif step:
            late = DownloadError("connect", f"no connection within {idle:g} seconds{step}", limit=idle, retryable=True)
        else:
            late = DownloadError("stalled", f"stalled: no data for {idle:g} seconds", limit=idle)
        self._cancel(late)
        return _NEVER

    def _give_up(self) -> None:
        assert self._reservation is not None  # noqa: S101  # it calls this
        if self.error is None and self._reservation.refused is not None:
            self._cancel(self._reservation.refused)

    def _cancel(self, error: StagingError) -> None:
        self.error = error
        self.scope.cancel()


async def watch(clocks: Sequence[Clock], limits: Limits, scope: "anyio.CancelScope") -> None:
    """Look at clocks again and again, until `scope` is cancelled.

    Args:
        clocks: of one call.
        limits: of its stage.
        scope: of this watch alone. To cancel the call's instead could hide a cancellation of its caller (anyio#1214).
    """
    now: Callable[[], float] = timer()
    pace = max(_SHORTEST, min(limits.idle_timeout, limits.timeout) / _LOOKS)
    with scope:
        while True:
            due = min((clock.look() for clock in clocks), default=_NEVER)
            await anyio.sleep(max(0, min(pace, due - now())))
            for _ in range(_ROUNDS):
                await checkpoint()
