"""Draw progress bars on a terminal with rich.

Importing this module without rich is an `ImportError`.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from rich import progress
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from staging._download import display_name
from staging._events import Event, Finished, Progress, Started
from staging._text import format_size


class Bars:
    """Show a bar for each running download, and one for all.

    They are gone when it is over.

    Args:
        count: how many attachments there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._received: dict[str, int] = {}
        self._tasks: dict[str, progress.TaskID] = {}
        self._drawn = _Fitting(Console(stderr=True))
        self._all = self._drawn.add_task("", total=None, visible=count > 1)

    def __enter__(self) -> Callable[[Event], None]:
        with suppress(OSError):  # the terminal may be gone; the work must go on without bars
            self._drawn.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._drawn.stop()

    def _show(self, event: Event) -> None:
        match event:
            case Started(attachment=attachment):
                self._tasks[attachment.url] = self._drawn.add_task(display_name(attachment), total=None)
            case Progress(attachment=attachment, received=received, total=total):
                self._received[attachment.url] = received
                self._drawn.update(self._tasks[attachment.url], completed=received, total=total)
            case Finished(outcome=outcome):
                self._done += 1
                if (task := self._tasks.pop(outcome.attachment.url, None)) is not None:
                    self._drawn.remove_task(task)
        words = f"{self._done} of {self._count} done"
        self._drawn.update(self._all, description=words, completed=sum(self._received.values()))


class _Words(progress.ProgressColumn):
    """Show plain words on one line.

    A name in them is never read as markup.
    """

    def __init__(self, words: Callable[[progress.Task], str], style: str = "", **column: Any) -> None:
        super().__init__(Column(**column))
        self._words = words
        self._style = style

    def render(self, task: progress.Task) -> Text:
        return Text(self._words(task), style=self._style, no_wrap=True, overflow="ellipsis")


def _amount(task: progress.Task) -> str:
    done = format_size(int(task.completed))
    if task.total is None:
        return done
    total = format_size(task.total)
    return f"{done.removesuffix(total[total.index(' ') :])} of {total}"


_NAME = _Words(lambda task: task.description, max_width=24)
_SHARE = _Words(
    lambda task: format_size(int(task.completed)) if task.total is None else f"{task.percentage:.0f}%",
    "progress.download", min_width=8, justify="right", no_wrap=True,
)  # fmt: skip
_NUMBERS = (
    _Words(_amount, "progress.download", min_width=18, justify="right", no_wrap=True),
    _Words(
        lambda task: f"{format_size(int(task.speed))}/s" if task.speed else "",
        min_width=10,
        justify="right",
        no_wrap=True,
    ),
    progress.TimeRemainingColumn(compact=True, table_column=Column(min_width=5, justify="right", no_wrap=True)),
)
_LAYOUTS = {  # by the least width that it needs: a number that would be cut in two is left out
    72: (_NAME, progress.BarColumn(bar_width=None), *_NUMBERS),
    50: (_NAME, *_NUMBERS),
    0: (_NAME, _SHARE),
}
_ROOM = 3  # for the ^C that a terminal echoes behind the last line: if that overflows, a line is never erased


class _Fitting(progress.Progress):
    """Show the columns that the terminal has room for now.

    It may be resized.
    """

    def __init__(self, console: Console) -> None:
        self._terminal = console
        super().__init__(console=console, transient=True, redirect_stdout=False, redirect_stderr=False)

    def make_tasks_table(self, tasks: Iterable[progress.Task]) -> Table:
        width = self._terminal.width
        self.columns = next(columns for least, columns in _LAYOUTS.items() if width >= least)
        table = super().make_tasks_table(tasks)
        table.width = max(1, width - _ROOM)
        return table
