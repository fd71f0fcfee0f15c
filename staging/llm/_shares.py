"""One budget, many files: max-min fair shares."""

from collections.abc import Sequence


def fair_shares(budget: int, demands: Sequence[int]) -> list[int]:
    """Share `budget` max-min fairly: nobody gets more than asked, and who gets less gets no less than anyone else.

    The small demands are met whole; the large ones get equal parts of what remains, to within 1. Nothing is left over
    while a demand is unmet (Bertsekas & Gallager, Data Networks, 6.5.2: progressive filling).
    """
    shares = [0] * len(demands)
    for served, index in enumerate(sorted(range(len(demands)), key=demands.__getitem__)):
        shares[index] = min(demands[index], budget // (len(demands) - served))
        budget -= shares[index]
    return shares
