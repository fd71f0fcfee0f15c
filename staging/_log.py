"""Words about the outcomes for the log.

A message is a constant template with arguments, so that tools can group its records. The facts stand beside it, as a
mapping under the one key ``staging`` of `extra`: ``record.staging["reason"]``. Names, URLs and details are one line
each, printable and without secrets. Hints for programmers appear here and nowhere else.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from staging._context import contradicted_claim, shown_url
from staging._models import Failure, Outcome, Skipped, StagedFile
from staging._text import one_line, quoted

_log = logging.getLogger("staging")


def log(level: int, template: str, *values: object, error: BaseException | None = None, **facts: Any) -> None:
    """Write one record, and ignore what handlers and filters raise.

    Args:
        level: of `logging`.
        template: constant, in the style of ``%``.
        values: its arguments.
        error: shown with its traceback.
        facts: what the record knows, for `extra`.
    """
    with suppress(Exception):
        _log.log(level, template, *values, exc_info=error, extra={"staging": facts})


def log_batch(outcomes: Sequence[Outcome], label: str = "") -> None:
    """Say how many of a batch are staged, without what was skipped."""
    if not _log.isEnabledFor(logging.INFO):
        return  # to count 300 files takes as long as to write ten
    wanted = [outcome for outcome in outcomes if not isinstance(outcome, Skipped)]
    if not wanted:
        return
    staged = [outcome for outcome in wanted if isinstance(outcome, StagedFile)]
    failures = Counter(outcome.reason for outcome in wanted if isinstance(outcome, Failure))
    sizes = {file.path: file.size for file in staged}
    log(
        logging.INFO, "Downloaded %d/%d attachments%s", len(staged), len(wanted), _for(label),
        label=label, staged=len(staged), wanted=len(wanted), bytes=sum(sizes.values()), failures=dict(failures),
    )  # fmt: skip


def log_outcome(outcome: Outcome, label: str = "") -> None:
    """Warn of a failure, or of a file that contradicts its claim."""
    if isinstance(outcome, Failure):
        facts = _facts(outcome, label)
        detail, hint = one_line(outcome.detail), one_line(outcome.hint, limit=1000)
        where = ", ".join(filter(None, (outcome.reason, facts["url"])))
        known = {key: getattr(outcome.error, key, None) for key in ("status", "limit", "size", "host")}
        log(
            logging.WARNING, "Not staged: %s%s: %s (%s)%s",
            quoted(outcome.name), _for(label), detail, where, f"; {hint}" if hint else "",
            **facts, reason=outcome.reason, detail=detail, hint=hint, retryable=outcome.retryable,
            attempts=outcome.attempts, **known,
        )  # fmt: skip
    elif isinstance(outcome, StagedFile) and (claimed := contradicted_claim(outcome)):
        claimed, seen = one_line(claimed, limit=100), one_line(outcome.media_type, limit=100)
        log(
            logging.WARNING, "Not what it claims to be: %s%s is %s, not %s",
            quoted(outcome.name), _for(label), seen, claimed,
            **_facts(outcome, label), media_type=seen, claimed_media_type=claimed, size=outcome.size,
        )  # fmt: skip


def _facts(outcome: Outcome, label: str) -> dict[str, Any]:
    return {"label": label, "name": one_line(outcome.name), "url": shown_url(outcome.attachment)}


def log_removal(files: int, label: str = "") -> None:
    """Say how many staged files were deleted, if any were."""
    if files:
        log(logging.INFO, "Cleaned up %d attachment files%s", files, _for(label), label=label, removed=files)


def log_leftovers(left: Sequence[tuple[str, str]], directory: str, label: str = "") -> None:
    """Warn of what could not be deleted."""
    if left:
        shown = "; ".join(f"{one_line(name)}: {one_line(why)}" for name, why in left[:3])
        log(
            logging.WARNING, "Could not remove %d of the files in %s (%s); left to the next sweep",
            len(left), one_line(directory), shown, label=label, directory=directory, leftovers=tuple(left),
        )  # fmt: skip


def _for(label: str) -> str:
    return f" for {one_line(label)}" if label else ""
