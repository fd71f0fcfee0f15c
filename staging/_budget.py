"""Bytes that downloads may still use.

They are counted as they arrive, and given back when they are deleted.

Theory of operation. A server may declare what it likes, so a declared size takes nothing: a budget counts the bytes
that are there. A download that cannot fit beside what is there is refused as soon as its size is known. When a budget
is full, the download that asked for most gives up its bytes, not the small one beside it that happens to come last.
"""

from collections.abc import Callable

from staging._errors import RejectedError
from staging._text import format_size


class Budget:
    """A number of bytes shared by many downloads, and never overshot.

    It is not thread-safe, and is used on the event loop only.

    Args:
        limit: bytes in all.
        owner: whose budget it is, for the line a person reads: "the stage", "the process".
    """

    __slots__ = ("limit", "owner", "running", "used")

    def __init__(self, limit: float, owner: str) -> None:
        self.limit = limit
        self.owner = owner
        self.used = 0
        self.running: set[Reservation] = set()  # downloads under way that have bytes here

    def __repr__(self) -> str:
        return f"<Budget of {self.owner}: {format_size(self.used)} of {format_size(self.limit)} used>"


class Reservation:
    """The bytes of one download, in several budgets at once.

    Attributes:
        held: bytes that count for it.
        asked: bytes that it will have in all, as far as is known.
        refused: why it was made to give up its bytes, if it was.
        give_up: called when it is; ends the download.
    """

    __slots__ = ("_budgets", "asked", "give_up", "held", "refused")

    def __init__(self, *budgets: Budget) -> None:
        self._budgets = budgets
        self.held = 0
        self.asked = 0
        self.refused: RejectedError | None = None
        self.give_up: Callable[[], None] | None = None

    def admit(self, size: int) -> None:
        """Refuse a download of `size` bytes that cannot fit.

        Nothing is counted yet.

        Raises:
            RejectedError: ``budget``. A budget that is full of files admits nothing, of whatever size.
        """
        self.asked = max(self.asked, size)
        self._make_room(max(size - self.held, 0 if self.held else 1), known=size > 0)

    def cover(self, size: int) -> None:
        """Count `size` bytes that have come in all.

        Raises:
            RejectedError: ``budget``, if they do not fit; nothing more was counted.
        """
        missing = size - self.held
        if missing <= 0 and self.refused is None:
            return
        self.asked = max(self.asked, size)
        self._make_room(missing)
        self.settle(size)

    def _make_room(self, missing: int, *, known: bool = True) -> None:
        if self.refused is not None:
            raise self.refused
        for budget in self._budgets:
            while missing > budget.limit - budget.used:
                largest = max(budget.running, key=lambda other: other.asked, default=self)
                # beside a download of unknown size, one gives way that asks for more than an equal share
                mine = self.asked if known else budget.limit / (len(budget.running) + 1)
                if largest is self or largest.asked <= mine:
                    raise _full(budget)
                largest.evict(_full(budget))

    def evict(self, refused: RejectedError) -> None:
        """Give all bytes back at once, and end the download."""
        self.refused = refused
        self.settle(0)
        if self.give_up is not None:
            self.give_up()

    def finish(self, size: int) -> None:
        """Keep exactly `size` bytes, those of the staged file, from now on.

        Raises:
            RejectedError: ``budget``, if it was made to give them up meanwhile.
        """
        if self.refused is not None:
            raise self.refused
        self.settle(size)
        for budget in self._budgets:
            budget.running.discard(self)

    def refund(self) -> None:
        """Give all bytes back.

        A second call does nothing.
        """
        self.settle(0)

    def settle(self, size: int) -> None:
        """Count `size` bytes, whatever was counted before."""
        more = size - self.held
        if not more:
            return
        for budget in self._budgets:
            budget.used += more
            if not self.held:
                budget.running.add(self)
            elif not size:
                budget.running.discard(self)
        self.held = size


def _full(budget: Budget) -> RejectedError:
    return RejectedError("budget", f"no room left: {budget.owner} takes {format_size(budget.limit)} in all")
