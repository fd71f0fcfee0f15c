"""Progress and life-cycle, as frozen values for `on_event`."""

from dataclasses import dataclass

from staging._models import Attachment, Outcome
from staging._readable import Readable

PROGRESS_INTERVAL = 0.1  # seconds between two `Progress` of one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(metaclass=Readable):
    """Tells that a download's turn has come, before a byte is asked for.

    What is skipped, refused unasked, or already there under the same URL, is not started. A `Finished` follows, unless
    the download is cancelled or the stage closed meanwhile.

    Attributes:
        attachment: what is downloaded.
    """

    attachment: Attachment


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(metaclass=Readable):
    """Tells that bytes are coming in.

    It comes at most about ten times a second for each file.

    Attributes:
        attachment: what is downloaded.
        received: bytes so far; starts again from less when an attempt could not be resumed.
        total: bytes in all, or None if the server does not say.
    """

    attachment: Attachment
    received: int
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(metaclass=Readable):
    """Tells that an attachment has its outcome.

    It comes for the refused and skipped ones too.

    Attributes:
        outcome: what became of it.
    """

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(metaclass=Readable):
    """Tells that the stage has ended, as its last event.

    Attributes:
        files: how many staged files were deleted.
        leftovers: what could not be deleted, each with the reason; left to the next sweep.
    """

    files: int
    leftovers: tuple[tuple[str, str], ...]


Event = Started | Progress | Finished | Removed


class Throttle:
    """Lets one call in `PROGRESS_INTERVAL` through, by the caller's clock."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = float("-inf")

    def ready(self, now: float) -> bool:
        """Tell whether enough time has passed since this was last true."""
        if now < self._next:
            return False
        self._next = now + PROGRESS_INTERVAL
        return True
