"""The command: `staging run`, `staging get` and `staging sweep`; with `_bars` the only place that prints.

Theory of operation. Arguments become an order, a frozen value that is right or has been refused with one line and exit
code 2. An order is carried out inside one cancel scope beside one task that receives the signals. While attachments are
downloaded a signal cancels that scope, and the stage removes everything on the way out; while the command runs it is
handed on to the command, which is waited for, so that its files are there for as long as it lives.

Results go to standard output, everything else to standard error, both past Python's buffers: a reader that goes away is
noticed where it happens, not at the interpreter's exit. Nothing that a sender wrote gets there before `one_line`, which
escapes what acts on a terminal, and no URL with its query, which carries secrets.
"""

import argparse
import errno
import importlib.metadata
import json
import logging
import math
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NoReturn

import anyio
from anyio.abc import Process, TaskStatus

from staging import (
    AttachmentStage,
    Event,
    Failure,
    Limits,
    Outcome,
    Skipped,
    StagedFile,
    StagingError,
    UrlPolicy,
    WorkspaceError,
    sweep,
)
from staging._events import Finished
from staging._models import require_number
from staging._text import bare_url, format_size, one_line

GRACE = 5.0  # seconds that a command has to end after SIGTERM; supervisors kill after ten or more
_DISCORD = ("cdn.discordapp.com", "media.discordapp.net")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PLACE = re.compile(r"((?:-[^={}\s]+=)?)\{\}")  # of the paths in a command: {} or --option={}
_Show = Callable[[Event], None]

_ABOUT = """\
Put untrusted chat attachments on disk for exactly as long as a command needs
them.

commands:
  run URL... -- COMMAND   stage attachments, run a command on them, delete them
  get --into DIR URL...   download attachments and keep them
  sweep [DIR]             remove what killed processes left behind"""

_MORE = """\
examples:
  staging run URL -- llm "what is this?" -a {}
  staging get --into inbox URL URL
  staging sweep

exit codes: 0 all well, 1 something failed, 2 wrong usage, 130 interrupted
(SIGINT, Ctrl-C), 143 told to end (SIGTERM). Whatever the end, no staged file
is left. `staging run --help` and so on tell the rest."""

_ABOUT_RUN = """\
Stage the attachments, run COMMAND, delete them, and exit with COMMAND's code.

An argument {} becomes the absolute paths of all staged files, each an argument
of its own, and --option={} becomes one --option=PATH for each of them. COMMAND
uses the terminal as if it had been started without `staging`, and finds two
more variables in its environment:
  STAGING_CONTEXT   what was attached and what became of it, for a prompt
  STAGING_DIR       the directory of the staged files
If a download fails, COMMAND is not started, unless --partial. The lines of
--json come before COMMAND's own output."""

_MORE_RUN = """\
examples:
  staging run URL -- llm "what is this?" -a {}
  staging run URL URL -- llm "what differs?" --attachment={}
  staging run URL URL -- sh -c 'echo "$STAGING_CONTEXT" | llm "summarise"'
  staging run URL URL -- sh -c 'for file; do wc -l "$file"; done' sh {}
  staging run --any-public-host https://example.com/scan.pdf -- pdftotext {} -

exit codes: COMMAND's own, or 128 + N if signal N ended it; 1 a download
failed; 2 wrong usage; 126 COMMAND cannot be started; 127 it is not found; 130
interrupted (SIGINT); 143 told to end (SIGTERM); 129 hung up (SIGHUP).

These signals reach COMMAND too, and it is waited for (after SIGTERM and SIGHUP
for 5 seconds) before its files are deleted. If it goes on after Ctrl-C at the
terminal, as a shell does, and ends well, that counts: 0."""

_ABOUT_GET = """\
Download the attachments into DIR, which is made if missing, and print the path
of each.

Nothing is overwritten: if DIR has a file of that name already, the new one is
dropped, with a line that says so and exit code 1. No half-written file ever
appears in DIR. The files are yours alone to read (mode 0600)."""

_MORE_GET = """\
examples:
  staging get --into inbox URL URL
  staging get --into inbox --allow-host files.example.com URL
  staging get --into inbox --json URL | jq -r .media_type

exit codes: 0 all well; 1 something failed, and the rest is kept; 2 wrong
usage; 130 interrupted (SIGINT); 143 told to end (SIGTERM); 129 hung up
(SIGHUP): what was not kept yet is deleted."""

_ABOUT_SWEEP = """\
Remove the workspaces under DIR whose processes are dead, and print how many.
Those of living processes, and everything that is not a workspace, stay as they
are."""

_MORE_SWEEP = """\
examples:
  staging sweep
  staging sweep /var/tmp/bot

exit codes: 0 all well, 1 DIR cannot be swept, 2 wrong usage."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code; ``staging --help`` tells what there is.

    Args:
        argv: the arguments; None: the process's own.

    Raises:
        SystemExit: with 2 for wrong usage, with 0 after a help text.
    """
    logging.getLogger("staging").addHandler(logging.NullHandler())  # what it would tell is told here, once
    try:
        return _carry_out(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # before the signals are ours, after that, or on Windows
        return 128 + signal.SIGINT
    except (StagingError, OSError) as error:
        _complain(_words(error))
        return 1


def _carry_out(argv: list[str]) -> int:
    parser = _top_parser()
    match parser.parse_args(argv[:1]).command:
        case "run":
            order = _run_order(argv[1:])
            if error := _why_not_found(order.command[0]):
                return _cannot_start(order.command[0], error)
        case "get":
            order = _get_order(argv[1:])
        case "sweep":
            root = _sweep_parser().parse_args(argv[1:]).root
            _print(str(sweep(tempfile.gettempdir() if root is None else root)))
            return 0
        case None:
            parser.error("say what to do: run, get or sweep")
        case other:
            parser.error(f"say what to do: run, get or sweep, not {bare_url(other, limit=100)!r}")
    return anyio.run(_perform, order)


# ── from arguments to an order ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What is to be done; `into` for `get`, `command` for `run`."""

    urls: Sequence[str]
    temp_dir: str | None
    limits: Limits
    policy: UrlPolicy
    json: bool
    partial: bool
    quiet: bool
    into: Path | None = None
    command: Sequence[str] = ()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and writes as everything here does."""

    def __init__(self, **texts: str) -> None:
        super().__init__(**texts, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        _complain(f"{message} (see {self.prog} --help)")
        sys.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ARG002  # only help texts get here
        _print(message.removesuffix("\n"))


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        _print(f"staging {importlib.metadata.version('attachment-staging')}")
        parser.exit()


def _top_parser() -> _Parser:
    parser = _Parser(prog="staging", usage="staging COMMAND ...", description=_ABOUT, epilog=_MORE)
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    return parser


def _sweep_parser() -> _Parser:
    parser = _Parser(prog="staging sweep", usage="staging sweep [DIR]", description=_ABOUT_SWEEP, epilog=_MORE_SWEEP)
    parser.add_argument(
        "root",
        nargs="?",
        metavar="DIR",
        type=_text,
        help="where they were made: their --temp-dir (default: the system's)",
    )
    return parser


def _run_order(argv: list[str]) -> _Order:
    usage = "staging run [options] URL... -- COMMAND [ARG | {}]..."
    parser = _Parser(prog="staging run", usage=usage, description=_ABOUT_RUN, epilog=_MORE_RUN)
    _add_options(parser, "start COMMAND with what arrived, even if it is nothing")
    cut = argv.index("--") if "--" in argv else len(argv)
    arguments = parser.parse_intermixed_args(argv[:cut])
    command = argv[cut + 1 :]
    if not command or not command[0]:
        parser.error("no command: put it after the URLs and --, as in: staging run URL -- COMMAND {}")
    return _order(arguments, command=command)


def _get_order(argv: list[str]) -> _Order:
    usage = "staging get [options] --into DIR URL..."
    parser = _Parser(prog="staging get", usage=usage, description=_ABOUT_GET, epilog=_MORE_GET)
    parser.add_argument("--into", metavar="DIR", type=_directory, required=True, help="where the files are kept")
    _add_options(parser, "says nothing here: what arrived is always kept")
    arguments = parser.parse_intermixed_args(argv)
    return _order(arguments, into=arguments.into)


def _add_options(parser: _Parser, partial: str) -> None:
    standard = Limits()
    parser.add_argument("urls", nargs="+", metavar="URL", type=_text, help="https, on Discord's hosts if not told else")
    add = parser.add_argument
    add("--temp-dir", metavar="DIR", type=_text, help="stage under DIR, made if missing (default: the system's)")
    add("--max-mb", metavar="N", type=_number, default=standard.max_mb, help="largest file (default: %(default)g MB)")
    add(
        "--timeout", metavar="S", type=_number, default=standard.timeout,
        help="seconds for one download, retries included (default: %(default)g)",
    )  # fmt: skip
    hosts = parser.add_mutually_exclusive_group()
    hosts.add_argument(
        "--allow-host", metavar="HOST", type=_host, action="append",
        help="HOST or *.DOMAIN in place of Discord's; may be repeated",
    )  # fmt: skip
    hosts.add_argument("--any-public-host", action="store_true", help="any host with a public address")
    add("--insecure-local", action="store_true", help="for tests: also http, any port, localhost, private hosts")
    add("--json", action="store_true", help="print outcomes as JSON lines on standard output")
    add("--partial", action="store_true", help=partial)
    add("--quiet", action="store_true", help="no progress, only results and errors")


def _order(arguments: argparse.Namespace, *, into: Path | None = None, command: Sequence[str] = ()) -> _Order:
    return _Order(
        urls=arguments.urls,
        temp_dir=arguments.temp_dir,
        # each URL was asked for by hand: how many there are, and their sum, is the caller's own decision
        limits=Limits(
            max_mb=arguments.max_mb,
            max_total_mb=math.inf,
            max_files=len(arguments.urls),
            timeout=arguments.timeout,
        ),
        policy=_policy(arguments),
        json=arguments.json,
        partial=arguments.partial,
        quiet=arguments.quiet,
        into=into,
        command=command,
    )


def _policy(arguments: argparse.Namespace) -> UrlPolicy:
    local: bool = arguments.insecure_local
    if arguments.any_public_host:
        policy = UrlPolicy.public()
    else:
        policy = UrlPolicy.only(*(arguments.allow_host or (_DISCORD + _LOOPBACK if local else _DISCORD)))
    return replace(policy, schemes=("https", "http"), ports=None, private=True) if local else policy


def _text(value: str) -> str:
    if not value or value.isspace():
        raise argparse.ArgumentTypeError("must not be empty")
    return value


@contextmanager
def _as_usage_error() -> Iterator[None]:
    """Let the parser tell the words of a `ValueError`, which it would replace by its own."""
    try:
        yield
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text: str) -> float:
    with _as_usage_error():
        value: Any = text
        with suppress(ValueError):
            value = float(text)
        require_number("it", value, zero=False)
        return float(value)


def _host(text: str) -> str:
    with _as_usage_error():
        UrlPolicy.only(text)
    return text


def _directory(text: str) -> Path:
    """Return the path if files may be put there, or it may be made: gigabytes later is too late to say no."""
    try:
        path = Path(_text(text)).absolute()
    except OSError:
        raise argparse.ArgumentTypeError("the current directory is gone; give a full path") from None
    place = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not place.is_dir():
        raise argparse.ArgumentTypeError(f"{place} is not a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{place} is not yours to write in")
    return path


# ── carrying it out ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _perform(order: _Order) -> int:
    return await _Job(order).run()  # made here, since a cancel scope is made on a running loop


class _Job:
    """One order, from the first signal that can be received to the exit code."""

    def __init__(self, order: _Order) -> None:
        self._order = order
        self._scope = anyio.CancelScope()
        self._signal = 0
        self._handed_on = False
        self._process: Process | None = None

    async def run(self) -> int:
        """Carry it out and return the exit code."""
        code = 1
        async with anyio.create_task_group() as group:
            await group.start(self._receive_signals)
            with self._scope:
                code = await self._attempt()
            group.cancel_scope.cancel()
        return self._exit_code(code)

    def _exit_code(self, code: int) -> int:
        went_on = self._signal == signal.SIGINT and self._process is not None and not self._handed_on and code == 0
        return 128 + self._signal if self._signal and not went_on else code

    async def _attempt(self) -> int:
        """Stage and do what is to be done; an error is one line and 1, and no `ExceptionGroup` ever comes of it."""
        order = self._order
        with ExitStack() as display:
            show = display.enter_context(_display(quiet=order.quiet, count=len(order.urls)))
            stage = AttachmentStage(order.temp_dir, limits=order.limits, policy=order.policy, on_event=show)
            try:
                async with stage:
                    await stage.download(order.urls)
                    display.close()  # from here on the terminal belongs to the results, and to the command
                    return await (self._run_command(stage) if order.into is None else _keep_all(stage, order))
            except (StagingError, OSError) as error:
                display.close()
                _complain(_words(error))
                return 1
            finally:
                _complain_of_leftovers(stage)

    async def _run_command(self, stage: AttachmentStage) -> int:
        for outcome in stage.outcomes:
            _report(outcome, as_json=self._order.json)
        if stage.failures and not self._order.partial:
            _complain(f"{self._order.command[0]} was not started; with --partial it gets what arrived")
            return 1
        context = stage.context() if sys.platform == "win32" else stage.context().encode()  # UTF-8 in every locale
        environment: Any = {**os.environ, "STAGING_CONTEXT": context, "STAGING_DIR": str(stage.directory)}
        command = _expanded(self._order.command, stage.paths)
        try:
            process = await anyio.open_process(command, stdin=None, stdout=None, stderr=None, env=environment)
        except OSError as error:
            return _cannot_start(command[0], error)
        async with process:  # kills it if the scope is cancelled
            self._process = process
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
            self._scope.cancel()
            return
        if number != signal.SIGINT:
            self._scope.deadline = min(self._scope.deadline, anyio.current_time() + GRACE)
        elif _is_in_foreground():
            return  # the terminal has sent Ctrl-C to the command too; some take a second one for impatience
        self._handed_on = True
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def _is_at_work_on(terminal: int) -> bool:
    return os.tcgetpgrp(terminal) == os.getpgrp()


def _is_in_foreground() -> bool:
    """Tell whether a terminal's Ctrl-C goes to this process group, which the command is a member of."""
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        try:
            return _is_at_work_on(terminal)
        finally:
            os.close(terminal)
    return False


def _expanded(command: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Return the command with its files; its first word stays: what was sent is not to be executed.

    No other braces than ``{}`` and ``--option={}`` mean anything: they are in the code of shells, of jq and of Python,
    where a name that a stranger chose is not to be.
    """
    arguments = [command[0]]
    for word in command[1:]:
        place = _PLACE.fullmatch(word)
        arguments += [word] if place is None else [f"{place[1]}{path}" for path in paths]
    return arguments


def _why_not_found(command: str) -> OSError | None:
    """Return why the command will not start, if that is certain: to be told before anything is downloaded."""
    if shutil.which(command) is not None:
        return None
    code = errno.EACCES if os.sep in command and Path(command).exists() else errno.ENOENT
    return OSError(code, os.strerror(code))


def _cannot_start(command: str, error: OSError) -> int:
    if isinstance(error, FileNotFoundError):
        _complain(f"{command}: command not found")
        return 127
    hint = "; stage fewer files at once" if error.errno == errno.E2BIG else ""
    _complain(f"{command} cannot be started: {error.strerror}{hint}")
    return 126


async def _keep_all(stage: AttachmentStage, order: _Order) -> int:
    """Keep what arrived, telling of each as it happens, so that an interrupt leaves nothing unsaid."""
    into = order.into or Path()
    if stage.files:
        await anyio.Path(into).mkdir(parents=True, exist_ok=True)
    kept: dict[Path, Outcome] = {}
    for outcome in stage.outcomes:
        result: Outcome = outcome
        if isinstance(outcome, StagedFile):  # identical URLs have one file
            result = kept.get(outcome.path) or await _keep(stage, outcome, into)
            kept[outcome.path] = result
        _report(result, as_json=order.json, show_path=True)
    return 1 if stage.failures or any(isinstance(result, Failure) for result in kept.values()) else 0


async def _keep(stage: AttachmentStage, file: StagedFile, into: Path) -> Outcome:
    try:
        return replace(file, path=await stage.keep(file, into))
    except FileExistsError:
        error = WorkspaceError("storage", f"{into} has a file of that name already; not overwritten")
    except WorkspaceError as why:
        error = why
    return Failure(
        attachment=file.attachment,
        name=file.path.name,
        reason=error.reason,
        detail=error.detail,
        retryable=False,
        attempts=0,
        error=error,
    )


# ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _report(outcome: Outcome, *, as_json: bool, show_path: bool = False) -> None:
    if as_json:
        _print(json.dumps(_record(outcome)))
    elif show_path and isinstance(outcome, StagedFile):
        _print(str(outcome.path))
    if isinstance(outcome, Failure):
        _complain(f"{outcome.name}: {_for_a_terminal(outcome.detail)} ({bare_url(outcome.attachment.url)})")


_HINTS = {  # the library's are for programmers
    "UrlPolicy.only names others": "--allow-host names others",
    "UrlPolicy.only(schemes=...) names others": "--insecure-local takes http too, for tests",
    "UrlPolicy.only(ports=...) names others": "--insecure-local takes any, for tests",
    "UrlPolicy.only(private=True) admits your own network's": "--insecure-local takes them, for tests",
    "tls= takes an SSL context that trusts it": "the command trusts whom this system trusts",
    "give client=httpx.AsyncClient(proxy=...)": "the command goes without a proxy",
}


def _for_a_terminal(detail: str) -> str:
    """Return a failure's detail with the hint for somebody who has options and no parameters."""
    for hint, option in _HINTS.items():
        detail = detail.replace(hint, option)
    return detail


def _record(outcome: Outcome) -> dict[str, Any]:
    """Return `as_dict` without the secrets of the URL, and what else is known."""
    record = {"name": outcome.name, **outcome.as_dict(), "url": bare_url(outcome.attachment.url)}
    match outcome:
        case StagedFile():
            return {**record, "size": outcome.size, "media_type": outcome.media_type}
        case Failure() | Skipped():
            return {**record, "reason": outcome.reason}


def _display(*, quiet: bool, count: int) -> AbstractContextManager[_Show | None]:
    """Return who shows the events: bars on a terminal that can, otherwise lines."""
    if quiet:
        return nullcontext()
    if _is_for_bars(sys.stderr):
        with suppress(ImportError):
            from staging._bars import Bars  # noqa: PLC0415  # rich is optional, and 50 ms that only a terminal is worth

            return Bars(count)
    return nullcontext(_show_line)


def _is_for_bars(stream: IO[str] | None) -> bool:
    """Tell whether this is a terminal that can move its cursor, and nobody else is working there."""
    if stream is None or not stream.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        return False
    with suppress(OSError, AttributeError):  # not the terminal that controls us; Windows has none
        return _is_at_work_on(stream.fileno())
    return True


def _show_line(event: Event) -> None:
    if isinstance(event, Finished) and isinstance(event.outcome, StagedFile):
        file = event.outcome
        _tell(f"{file.name}: {format_size(file.size)}, {file.media_type}")


def _complain_of_leftovers(stage: AttachmentStage) -> None:
    for name, why in stage.leftovers[:3]:
        _complain(f"{name} could not be removed: {why}; `staging sweep` will try again")


def _words(error: Exception) -> str:
    """Return an error as one line for a person."""
    if isinstance(error, WorkspaceError):  # the library's word is for programmers
        return re.sub(r"^temp_dir\b", "--temp-dir", error.detail)
    if isinstance(error, OSError) and not isinstance(error, StagingError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _complain(message: str) -> None:
    _tell(f"staging: {message}")


def _tell(message: str) -> None:
    words = one_line(message, limit=2000).encode(sys.getfilesystemencoding(), "backslashreplace")
    with suppress(OSError):  # a full disk under standard error, say: nobody could be told
        _write(sys.stderr, words)


def _print(text: str) -> None:
    try:
        _write(sys.stdout, os.fsencode(text))
    except OSError as error:
        error.filename = "standard output"
        raise


def _write(stream: IO[str] | None, line: bytes) -> None:
    """Write a line past Python's buffers; nobody there to read it is no reason to stop working."""
    if stream is None:  # closed by the caller; its descriptor may be anything by now
        return
    data = line + b"\n"
    with suppress(BrokenPipeError):
        while data:
            data = data[os.write(stream.fileno(), data) :]
