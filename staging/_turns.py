"""How many downloads run at once, and which is next.

Theory of operation. A stage has a line, in which its downloads wait for their turns. The lines are served round robin:
a stage with two hundred downloads and a stage with one wait for the same number of turns.

Round robin is not enough against peers that send next to nothing. Eight of them would hold eight turns for a whole
timeout. So while downloads wait, one of them checks again and again those that hold a turn. One that has received next
to nothing since the last check lends its turn to a line that holds fewer. It stays connected, and takes a turn again
when its bytes come. A line never borrows from itself: a stage has no more downloads under way than its own limit says.

A download has some time to be answered before its turn is lent. The more turns its line holds, and the more downloads
of its server have lent theirs already, the shorter that time is. A line whose downloads have lent their turns gets no
new ones until some of those go on or end: it is passed over, so that no stage takes all that may stay connected.
"""

import math
from collections import Counter, deque
from collections.abc import Hashable
from types import TracebackType
from typing import Self

import anyio

from staging._budget import Reservation
from staging._threads import timer

SETTLING = 0.25  # seconds that a download keeps its turn if it is alone: to connect, and to be answered
PATIENCE = 0.01  # seconds between two checks
SLOW = 512  # bytes between two checks: with less (50 KB/s), a turn is lent
MAX_LENT = 256  # downloads that stay connected without a turn: each has a descriptor
MAX_LENT_OF_LINE = 2  # with more, a line gets no new turns


class Turns:
    """At most `limit` turns at once, over all lines.

    Args:
        limit: how many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._now = timer()
        self._held: dict[Turn, int] = {}  # with the bytes that each had at the last check
        self._lent: set[Turn] = set()
        self._lent_of: Counter[Hashable] = Counter()  # by server
        self._lines: deque[Line] = deque()  # those in which a download waits; the first is next
        self._looking: Turn | None = None
        self._idling: deque[anyio.Event] = deque()  # of downloads that wait until another has ended

    @property
    def running(self) -> int:
        """Downloads that have begun, and not ended."""
        return len(self._held) + len(self._lent)

    @property
    def waiting(self) -> int:
        """Downloads that wait for their turn, or for a descriptor."""
        return sum(len(line.waiting) for line in self._lines) + len(self._idling)

    async def another_ends(self, turn: "Turn") -> bool:
        """Wait until another download has ended, and return True.

        Others have the turn meanwhile, for they may hold what this download lacks. Each end wakes one that waits, since
        most would try again in vain if all did. If no other runs, return False at once.
        """
        if self.running < 2:  # itself
            return False
        ended = anyio.Event()
        self._idling.append(ended)
        try:
            self._leave(turn)
            await ended.wait()
        finally:
            if not ended.is_set():
                self._idling.remove(ended)
        await self.take(turn)
        return True

    async def take(self, turn: "Turn") -> None:
        """Wait in line until `turn` is granted."""
        if not self._lines and len(self._held) < self._limit:
            self._hold(turn)
            return
        line = turn.line
        if not line.waiting:
            self._lines.append(line)
        line.waiting.append(turn)
        turn.waits, turn.called = True, anyio.Event()
        self._serve()  # all that wait may be passed over
        try:
            while turn.waits:  # what was granted may have been lent again, before this task has run
                await self._wait(turn)
        except BaseException:
            if turn.waits:
                line.waiting.remove(turn)
                if not line.waiting:
                    self._lines.remove(line)
            raise
        finally:
            if self._looking in {None, turn}:  # None: it was called to check, and got its turn first
                self._looking = None
                if self._lines:
                    self._lines[0].waiting[0].called.set()  # checks from now on

    async def _wait(self, turn: "Turn") -> None:
        if self._looking in {None, turn}:
            self._looking = turn
            with anyio.move_on_after(PATIENCE):
                await turn.called.wait()
            self._lend()
        else:
            await turn.called.wait()
            turn.called = anyio.Event()

    def end(self, turn: "Turn") -> None:
        """Take a turn back, for the next in line."""
        self._leave(turn)
        if self._idling:
            self._idling.popleft().set()

    def _leave(self, turn: "Turn") -> None:
        if self._held.pop(turn, None) is not None:
            turn.line.held -= 1
        elif turn.lent:
            self._take_back(turn)
        self._serve()

    def _serve(self) -> None:
        while len(self._held) < self._limit and (turn := self._next()) is not None:
            self._grant(turn)

    def _next(self, most: float = math.inf) -> "Turn | None":
        """Return the download that is next, or None.

        Only lines that hold fewer turns than `most` count.
        """
        for line in self._lines:
            if line.held < most:
                for turn in line.waiting:
                    if turn.lent or line.lent < MAX_LENT_OF_LINE:
                        return turn
        return None

    def _grant(self, turn: "Turn") -> None:
        """Give a turn to a download that waits.

        Its line is then served after all others.
        """
        line = turn.line
        line.waiting.remove(turn)
        self._lines.remove(line)
        if line.waiting:
            self._lines.append(line)
        turn.waits = False
        self._hold(turn)
        turn.called.set()

    def _hold(self, turn: "Turn") -> None:
        if turn.lent:
            self._take_back(turn)
        self._held[turn] = turn.reservation.held
        turn.line.held += 1
        turn.since = self._now()

    def _take_back(self, turn: "Turn") -> None:
        turn.lent = False
        turn.line.lent -= 1
        self._lent.remove(turn)
        self._lent_of[turn.server] -= 1
        if not self._lent_of[turn.server]:
            del self._lent_of[turn.server]  # a sender can name any number of servers

    def _lend(self) -> None:
        """Lend the turns of slow downloads to lines that hold fewer."""
        now = self._now()
        for turn, before in list(self._held.items()):
            received = turn.reservation.held
            self._held[turn] = received
            settled = turn.since + SETTLING / max(turn.line.held, self._lent_of[turn.server] + 1)
            if received - before >= SLOW or now < settled or len(self._lent) >= MAX_LENT:
                continue
            borrower = self._next(turn.line.held)
            if borrower is not None:
                del self._held[turn]
                turn.line.held -= 1
                turn.line.lent += 1
                turn.lent = True
                self._lent.add(turn)
                self._lent_of[turn.server] += 1
                self._grant(borrower)


class Line:
    """Where the downloads of one stage wait.

    Args:
        turns: what they wait for.
    """

    __slots__ = ("held", "lent", "turns", "waiting")

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.waiting: deque[Turn] = deque()
        self.held = self.lent = 0


class Turn:
    """One download's turn.

    ``async with`` waits for the turn, holds it, and gives it back.

    Args:
        line: the stage's.
        reservation: tells how much the download has received.
        server: who is asked for it; None if nobody is.

    Attributes:
        lent: whether a download that was waiting has the turn now; `retake` it before going on.
        waits: whether it is in line.
    """

    __slots__ = ("called", "lent", "line", "reservation", "server", "since", "waits")

    def __init__(self, line: Line, reservation: Reservation, server: Hashable = None) -> None:
        self.line = line
        self.reservation = reservation
        self.server = server
        self.lent = False
        self.waits = False
        self.since = 0.0
        self.called: anyio.Event  # set by `Turns.take`, if this has to wait

    async def __aenter__(self) -> Self:
        try:
            await self.line.turns.take(self)
        except BaseException:
            self.line.turns.end(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.line.turns.end(self)

    async def retake(self) -> None:
        """Wait in line again for a turn that was lent."""
        await self.line.turns.take(self)
