"""Count what texts cost, and share one budget between many files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from staging._models import require_number
from staging._text import one_line

Count = Callable[[str], int]

_CHARS_A_TOKEN = 10  # white space may have more, and then less is shown than would fit
_MOST_KEPT = 4_000_000  # characters of one text that are held in memory


@dataclass(frozen=True, slots=True)
class TextBudget:
    """Says how much text may be shown.

    It is counted in characters, or in tokens as the caller counts them.

    Attributes:
        room: characters or tokens.
        count: tokens of a text. None means that characters count.
    """

    room: int
    count: Count | None = None

    @property
    def unit(self) -> str:
        """Return the unit, which is characters or tokens."""
        return "characters" if self.count is None else "tokens"

    @property
    def keep(self) -> int:
        """Return how many characters of one text are worth keeping."""
        return min(_MOST_KEPT, self.room if self.count is None else self.room * _CHARS_A_TOKEN)

    def cost(self, text: str) -> int:
        """Return what a text costs.

        Raises:
            TypeError: if `count` returns no number of tokens.
        """
        if self.count is None:
            return len(text)
        tokens: Any = self.count(text)
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
            raise TypeError(f"count must return a number of tokens, not {one_line(repr(tokens), limit=60)}")
        return tokens


def text_budget(max_chars: float, max_tokens: float | None, count: Count | None) -> TextBudget:
    """Return the budget that the arguments mean.

    Raises:
        ValueError: if a number is negative or no number, or one of `max_tokens` and `count` stands alone.
        TypeError: if `count` cannot be called.
    """
    require_number("max_chars", max_chars, zero=True)
    if max_tokens is None and count is None:
        return TextBudget(int(min(max_chars, _MOST_KEPT)))
    if max_tokens is None:
        raise ValueError("count does nothing without max_tokens")
    require_number("max_tokens", max_tokens, zero=True)
    if count is None:
        raise ValueError("max_tokens needs count: a function that returns how many tokens a text has")
    if not callable(count):
        raise TypeError(f"count must be a function of a text, not {one_line(repr(count), limit=60)}")
    return TextBudget(int(min(max_tokens, _MOST_KEPT)), count)


def fair_shares(budget: int, demands: Sequence[int]) -> list[int]:
    """Share `budget` max-min fairly.

    No demand gets more than it asks for. A demand that gets less gets no less than any other.

    The small demands are met whole. The large ones get equal parts of what remains, to within 1. Nothing is left over
    while a demand is unmet (Bertsekas & Gallager, Data Networks, 6.5.2, progressive filling).
    """
    shares = [0] * len(demands)
    for served, index in enumerate(sorted(range(len(demands)), key=demands.__getitem__)):
        shares[index] = min(demands[index], budget // (len(demands) - served))
        budget -= shares[index]
    return shares
