"""Bytes that may still be used: reserved before they come, settled by what came, given back when they go."""

from staging._errors import RejectedError
from staging._text import format_size


class Budget:
    """A number of bytes shared by many. Never overshot: what is not reserved is not received.

    Reserving is first come, first served, and never waits: an attachment that does not fit is refused, and the next,
    which may be smaller, is asked for itself. Not thread-safe; it lives on the event loop, where nothing comes between.

    Args:
        limit: bytes in all.
        owner: whose budget it is, for the line a person reads: "the stage", "the process".
    """

    __slots__ = ("limit", "owner", "used")

    def __init__(self, limit: int, owner: str) -> None:
        self.limit = limit
        self.owner = owner
        self.used = 0

    @property
    def left(self) -> int:
        """Bytes that nobody has reserved."""
        return self.limit - self.used

    def __repr__(self) -> str:
        return f"<Budget of {self.owner}: {format_size(self.used)} of {format_size(self.limit)} used>"


class Reservation:
    """The share of one download in several budgets at once: in all of them or in none."""

    __slots__ = ("_budgets", "held")

    def __init__(self, *budgets: Budget) -> None:
        self._budgets = budgets
        self.held = 0

    def cover(self, size: int) -> None:
        """Reserve as much as is missing to `size` bytes; a smaller size changes nothing.

        Raises:
            RejectedError: ``budget``, if one of the budgets has too little left, or, for the first bytes, nothing at
                all, so that nobody is asked for what cannot be taken; nothing was reserved.
        """
        missing = size - self.held
        if missing <= 0 and self.held:
            return
        for budget in self._budgets:
            left = budget.left
            if missing > left or not left:
                limit = format_size(budget.limit)
                raise RejectedError("budget", f"no room left: {budget.owner} takes {limit} in all")
        self._move(missing)

    def settle(self, size: int) -> None:
        """Keep exactly `size` bytes, the number that came, and give the rest back."""
        self._move(size - self.held)

    def refund(self) -> None:
        """Give everything back. Idempotent."""
        self.settle(0)

    def _move(self, size: int) -> None:
        if not size:
            return
        self.held += size
        for budget in self._budgets:
            budget.used += size
