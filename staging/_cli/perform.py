"""Carry out an order, from the arguments to the exit code.

Theory of operation. An order is carried out inside one cancel scope, beside one task that receives the signals. While
attachments are downloaded a signal cancels that scope, and the stage removes everything on the way out. While the
command runs a signal is handed on to it. The command is waited for, so its files are there for as long as it lives.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path

import anyio
from anyio.abc import Process, TaskStatus

from staging import AttachmentStage, StagingError, sweep
from staging._cli.command import cannot_start, start, why_not_found
from staging._cli.keeping import keep_all
from staging._cli.orders import Order, get_order, run_order, sweep_parser, top_parser
from staging._cli.output import complain, complain_of_leftovers, is_at_work_on, open_display, print_line, report, words
from staging._cli.proxy import open_proxy
from staging._text import bare_url

GRACE = 5.0  # seconds that a command has to end after SIGTERM; supervisors kill after ten or more


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code.

    ``staging --help`` tells what there is.

    Args:
        argv: the arguments; None: the process's own.

    Raises:
        SystemExit: with 2 for wrong usage, with 0 after a help text.
    """
    logging.getLogger("staging").addHandler(logging.NullHandler())  # the command prints the same facts itself, once
    try:
        return _carry_out(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # before the signals are ours, after that, or on Windows
        return 128 + signal.SIGINT
    except (StagingError, OSError) as error:
        complain(words(error))
        return 1


def _carry_out(argv: list[str]) -> int:
    parser = top_parser()
    match parser.parse_args(argv[:1]).command:
        case "run":
            order = run_order(argv[1:])
            if error := why_not_found(order.command[0]):
                return cannot_start(order.command[0], error)
        case "get":
            order = get_order(argv[1:])
        case "sweep":
            root = sweep_parser().parse_args(argv[1:]).root
            if root is None or os.path.lexists(root):
                print_line(str(sweep(tempfile.gettempdir() if root is None else root)))
                return 0
            complain(f"cannot sweep {root}: there is no such directory")  # the library does nothing then
            return 1
        case None:
            parser.error("say what to do: run, get or sweep")
        case other:
            parser.error(f"say what to do: run, get or sweep, not {bare_url(other, limit=100)!r}")
    return anyio.run(_Job(order).run)


class _Job:
    """Carries out one order, and receives the signals meanwhile."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._scope: anyio.CancelScope
        self._signal: signal.Signals | None = None
        self._handed_on = self._starting = False
        self._process: Process | None = None

    async def run(self) -> int:
        """Carry it out and return the exit code."""
        code, self._scope = 1, anyio.CancelScope()  # made here, since it is made on a running loop
        async with anyio.create_task_group() as group:
            await group.start(self._receive_signals)
            with self._scope:
                code = await self._attempt()
            group.cancel_scope.cancel()
        went_on = self._signal == signal.SIGINT and self._process is not None and not self._handed_on and code == 0
        return 128 + self._signal if self._signal is not None and not went_on else code

    async def _attempt(self) -> int:
        """Stage, and do what is to be done.

        An error is shown as one line, and the exit code is 1. No `ExceptionGroup` is raised.
        """
        order = self._order
        async with AsyncExitStack() as stack:
            display = stack.enter_context(ExitStack())
            show = display.enter_context(open_display(quiet=order.quiet, count=len(order.urls)))
            try:
                client = await stack.enter_async_context(await open_proxy(order.proxy)) if order.proxy else None
                stage = AttachmentStage(
                    order.temp_dir, limits=order.limits, policy=order.policy, client=client, on_event=show
                )
                stack.callback(complain_of_leftovers, stage)
                async with stage:
                    await stage.download(order.sources, accept=order.accept)
                    display.close()  # from here on the terminal belongs to the results, and to the command
                    return await (self._run_command(stage) if order.into is None else keep_all(stage, order))
            except (StagingError, OSError) as error:
                display.close()
                complain(words(error))
                return 1

    async def _run_command(self, stage: AttachmentStage) -> int:
        for outcome in stage.outcomes:
            report(outcome, as_json=self._order.json)
        if stage.failures and not self._order.partial:
            complain(f"{self._order.command[0]} was not started; with --partial it gets what arrived")
            return 1
        try:
            self._starting = True
            process = await start(self._order.command, stage)
        except OSError as error:
            return cannot_start(self._order.command[0], error)
        finally:
            self._starting = False
        async with process:  # kills it if the scope is cancelled
            self._process = process
            if self._signal is not None:
                self._take(self._signal)
            code = await process.wait()
        return 128 - code if code < 0 else code

    async def _receive_signals(self, *, task_status: TaskStatus[None]) -> None:
        if sys.platform == "win32":  # no event loop there receives them: Ctrl-C is a KeyboardInterrupt, which cancels
            task_status.started()
            return
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it stays ignored
            numbers.append(signal.SIGHUP)
        with anyio.open_signal_receiver(*numbers) as received:
            task_status.started()
            async for number in received:
                self._take(number)

    def _take(self, number: signal.Signals) -> None:
        self._signal = number
        if self._process is None:
            if not self._starting:  # else the command may be at work already: it gets the signal as soon as it is known
                self._scope.cancel()
            return
        if number != signal.SIGINT:
            self._scope.deadline = min(self._scope.deadline, anyio.current_time() + GRACE)
        else:
            with suppress(OSError), Path("/dev/tty").open("rb", buffering=0) as terminal:
                if is_at_work_on(terminal.fileno()):
                    return  # it has sent Ctrl-C to the command too; a second one would make some commands end at once
        self._handed_on = True
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
