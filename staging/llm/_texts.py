"""Texts of many files within one budget.

Theory of operation. Files are read a few at once. While they come in, excerpts are cut to their shares, so that many
large files are never in memory together. When all are there, each is rendered as it will be shown, with heading and
fence. It is then cut until that costs no more than its share. A share that does not hold a heading and a few words
shows nothing. The last such files are left out, with a reason, until the others fit.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping

import anyio

from staging._models import StagedFile
from staging.llm._budget import TextBudget, fair_shares
from staging.llm._fences import body_of, section
from staging.llm._files import UnreadableError
from staging.llm._values import TextPart
from staging.llm.extract import Excerpt, joined

Reading = Callable[[int], Awaitable[Excerpt]]

_AT_ONCE = 4  # files that are read at once; each holds one excerpt of the whole budget until it is cut
_LEAST_KEPT = 2000  # characters that are kept of each text while others come in, since some may be left out at the end
_LEAST_SHOWN = 20  # characters of a text that are worth a heading


async def read_texts(
    readings: Mapping[int, Reading], budget: TextBudget, found: MutableMapping[int, Excerpt | str]
) -> None:
    """Put an excerpt for every number into `found`, or the reason for none.

    An entry that is there stays there.
    """
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def read(number: int, reading: Reading) -> None:
        async with places:
            try:
                found[number] = await reading(budget.keep)
            except UnreadableError as error:
                found[number] = str(error)
        share_out(found, budget.keep)

    async with anyio.create_task_group() as group:
        for number, reading in readings.items():
            group.start_soon(read, number, reading)


def share_out(found: MutableMapping[int, Excerpt | str], keep: int) -> None:
    """Cut every excerpt to its share.

    Shares only shrink as files are added, so this can be done at any time.
    """
    texts = {number: text for number, text in found.items() if isinstance(text, Excerpt)}
    if sum(text.kept for text in texts.values()) > max(keep, _LEAST_KEPT * len(texts)):
        shares = fair_shares(keep, [text.total for text in texts.values()])
        for (number, text), share in zip(texts.items(), shares, strict=True):
            found[number] = text.cut(max(share, _LEAST_KEPT))


def fitted(
    files: Mapping[int, StagedFile], texts: Mapping[int, Excerpt], budget: TextBudget
) -> tuple[dict[int, TextPart], dict[int, str]]:
    """Return the parts that fit the budget, and reasons for the others.

    Texts are cut so that all of them cost no more than the budget.

    For a worker thread: a large text is rendered some twenty times.
    """
    shown = dict(sorted(texts.items()))
    left_out: dict[int, str] = {}
    demands = {n: _cost(budget, n, files[n], text) for n, text in shown.items()}
    if budget.count is None:  # a text that is only partly here would cost more
        demands = {n: demand + shown[n].omitted for n, demand in demands.items()}
    least = {n: min(demands[n], _cost(budget, n, files[n], text.cut(_LEAST_SHOWN))) for n, text in shown.items()}
    while True:
        shares = dict(zip(shown, fair_shares(budget.room, [demands[n] for n in shown]), strict=True))
        too_small = [n for n in shown if shares[n] < least[n]]
        if not too_small:
            break
        for number in too_small[-max(1, len(too_small) // 4) :]:
            del shown[number]
            left_out[number] = f"there is no room for it within {budget.room:,} {budget.unit}"
    return {n: _part(budget, n, files[n], text, shares[n]) for n, text in shown.items()}, left_out


def _cost(budget: TextBudget, number: int, file: StagedFile, text: Excerpt) -> int:
    return budget.cost(section(number, file, text) + "\n\n")


def _part(budget: TextBudget, number: int, file: StagedFile, text: Excerpt, share: int) -> TextPart:
    """Return the most of the text that costs no more than its share.

    More text never has a shorter fence.
    """
    low, high = min(_LEAST_SHOWN, text.kept), text.kept
    if _cost(budget, number, file, text) <= share:
        low = high
    while low < high:
        middle = (low + high + 1) // 2
        if _cost(budget, number, file, text.cut(middle)) <= share:
            low = middle
        else:
            high = middle - 1
    cut = text.cut(low).at_lines()
    remark = joined(text.remark, f"{cut.omitted:,} characters omitted" if cut.omitted else "")
    shown = section(number, file, cut)
    return TextPart(
        number=number, outcome=file, name=file.name, media_type="text/plain", remark=remark, text=body_of(cut),
        section=shown,
    )  # fmt: skip
