"""What the log and a caller's own function are told."""

import logging
from collections.abc import Callable, Sequence

import anyio

from staging._disk.removal import Removal
from staging._events import Event, Finished, Progress, Removed, Started, Throttle
from staging._log import log, log_batch, log_leftovers, log_outcome, log_removal
from staging._models import Attachment, Outcome
from staging._threads import foreign


class Observer:
    """Tells the log and `on_event` what happens.

    If `on_event` raises, the downloads go on as before.

    Args:
        on_event: called with every event, or None.
        label: for log lines.
    """

    def __init__(self, on_event: Callable[[Event], None] | None, label: str) -> None:
        self._on_event = on_event
        self._label = label
        self._failed = False

    def started(self, attachment: Attachment) -> "Progression":
        """Tell that a download begins, and return its `Progression`."""
        if self._on_event is None:
            return _UNTOLD
        self._emit(Started(attachment=attachment))

        def tell(received: int, total: int | None) -> None:
            self._emit(Progress(attachment=attachment, received=received, total=total))

        return Progression(tell)

    def finished(self, outcome: Outcome) -> None:
        """Tell what became of an attachment."""
        log_outcome(outcome, self._label)
        if self._on_event is not None:
            self._emit(Finished(outcome=outcome))

    def downloaded(self, outcomes: Sequence[Outcome]) -> None:
        """Tell what became of a whole call."""
        log_batch(outcomes, self._label)

    def refresh_failed(self, links: int, error: Exception) -> None:
        """Tell that the caller's `refresh` raised."""
        told = "Could not refresh %d expired links: refresh, which is awaited and returns {old: new}, raised %s"
        log(logging.WARNING, told, links, type(error).__name__, label=self._label)

    def ended(self, removal: Removal, directory: str) -> None:
        """Tell that the stage has ended."""
        log_removal(removal.files, self._label)
        log_leftovers(removal.leftovers, directory, self._label)
        self._emit(Removed(files=removal.files, leftovers=removal.leftovers))
        self._on_event = None  # that was the last event, even if a thread of a download hangs

    def _emit(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            with foreign():
                self._on_event(event)
        except Exception as error:  # noqa: BLE001  # an observer's mistake must not cost a download
            if not self._failed:
                told = "on_event raised; further errors of it are not logged"
                log(logging.ERROR, told, error=error, label=self._label)
            self._failed = True


class Progression:
    """Tells a few times a second how far a download is.

    The last state is always told.

    Args:
        tell: takes how much has been received, of how much in all; None, if nothing wants to know.
    """

    __slots__ = ("_last", "_tell", "_throttle")

    def __init__(self, tell: Callable[[int, int | None], None] | None) -> None:
        self._tell = tell
        self._throttle = Throttle()
        self._last: tuple[int, int | None] | None = None  # held back

    def __call__(self, received: int, total: int | None) -> None:
        """Take how much has been received, of how much in all."""
        if self._tell is None:
            return
        self._last = (received, total)
        if received == total:
            self.flush()
        else:
            self.catch_up()

    def catch_up(self) -> None:
        """Tell what was held back, if enough time has passed."""
        if self._last is not None and self._throttle.ready(anyio.current_time()):
            self.flush()

    def flush(self) -> None:
        """Tell what was held back."""
        if self._tell is not None and self._last is not None:
            received, total = self._last
            self._last = None
            self._tell(received, total)


_UNTOLD = Progression(None)  # of all downloads that nothing observes
