"""Turn arguments into an order, or refuse them.

A refusal is one line and exit code 2. An order is a frozen value. Everything that can be known to be wrong before the
first download is refused here.
"""

import argparse
import functools
import importlib.metadata
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from staging import Limits, UrlPolicy
from staging._claims.accepted import Accepted
from staging._cli.output import complain, print_line
from staging._cli.texts import ABOUT, ABOUT_GET, ABOUT_RUN, ABOUT_SWEEP, MORE, MORE_GET, MORE_RUN, MORE_SWEEP
from staging._models import require_number

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([\t -~\x80-\xff]+)")  # RFC 9110, 5.1 and 5.5
HEADERS_VARIABLE = "STAGING_HEADERS"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Say what is to be done.

    `into` is for `get`, and `command` for `run`.
    """

    urls: Sequence[str]
    temp_dir: str | None
    limits: Limits
    policy: UrlPolicy
    accept: Sequence[str] | None
    headers: Mapping[str, str]
    proxy: str | None
    json: bool
    partial: bool
    quiet: bool
    into: Path | None = None
    command: Sequence[str] = ()

    @property
    def sources(self) -> list[object]:
        """Return what the stage is to download."""
        return [{"url": url, "headers": self.headers} if self.headers else url for url in self.urls]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line.

    It writes by the functions of `output`, as everything here does.
    """

    def __init__(self, **texts: str) -> None:
        super().__init__(**texts, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        complain(f"{message} (see {self.prog} --help)")
        sys.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ARG002  # only help texts get here
        print_line(message.removesuffix("\n"))


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print_line(f"staging {importlib.metadata.version('attachment-staging')}")
        parser.exit()


def top_parser() -> _Parser:
    parser = _Parser(prog="staging", usage="staging COMMAND ...", description=ABOUT, epilog=MORE)
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    return parser


def sweep_parser() -> _Parser:
    parser = _Parser(prog="staging sweep", usage="staging sweep [DIR]", description=ABOUT_SWEEP, epilog=MORE_SWEEP)
    parser.add_argument(
        "root",
        nargs="?",
        metavar="DIR",
        type=_text,
        help="where they were made: their --temp-dir (default: the system's)",
    )
    return parser


def run_order(argv: list[str]) -> Order:
    usage = "staging run [options] URL... -- COMMAND [ARG | {}]..."
    parser = _Parser(prog="staging run", usage=usage, description=ABOUT_RUN, epilog=MORE_RUN)
    _add_options(parser, "start COMMAND with what arrived, even if it is nothing")
    cut = argv.index("--") if "--" in argv else len(argv)
    arguments = _parsed(parser, argv[:cut])
    command = argv[cut + 1 :]
    if not command or not command[0]:
        parser.error("no command: put it after the URLs and --, as in: staging run URL -- COMMAND {}")
    return _order(parser, arguments, command=command)


def get_order(argv: list[str]) -> Order:
    usage = "staging get [options] --into DIR URL..."
    parser = _Parser(prog="staging get", usage=usage, description=ABOUT_GET, epilog=MORE_GET)
    parser.add_argument("--into", metavar="DIR", type=_directory, required=True, help="where the files are kept")
    _add_options(parser, "says nothing here: what arrived is always kept")
    arguments = _parsed(parser, argv)
    return _order(parser, arguments, into=arguments.into)


def _parsed(parser: _Parser, argv: list[str]) -> argparse.Namespace:
    """Return the arguments.

    An unknown option is named without its value, which may be a secret. With a space in it, argparse takes it for a
    URL.
    """
    arguments, unknown = parser.parse_known_intermixed_args(argv)
    for url in arguments.urls:
        if url.startswith("-"):
            parser.error(f"argument URL: there is no option {url.partition('=')[0].partition(' ')[0]}")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(word.partition('=')[0] for word in unknown)}")
    return arguments


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
        "--allow-host", metavar="HOST", type=functools.partial(_checked, UrlPolicy.only), action="append",
        help="HOST or *.DOMAIN in place of Discord's; may be repeated",
    )  # fmt: skip
    hosts.add_argument("--any-public-host", action="store_true", help="any host with a public address")
    add(
        "--accept", metavar="TYPE", type=functools.partial(_checked, lambda text: Accepted([text])), action="append",
        help="leave out what is not of TYPE (image/*); may be repeated",
    )  # fmt: skip
    add(
        "--header", metavar="TEXT", action="append", default=[],
        help="send this field, 'NAME: VALUE', or @FILE of such lines",
    )  # fmt: skip
    add("--proxy", metavar="URL", type=_proxy, help="go through it; its URL, or @FILE that has the URL")
    add("--insecure-local", action="store_true", help="for tests: also http, any port, localhost, private hosts")
    add("--json", action="store_true", help="print outcomes as JSON lines on standard output")
    add("--partial", action="store_true", help=partial)
    add("--quiet", action="store_true", help="no progress, only results and errors")


def _order(
    parser: _Parser, arguments: argparse.Namespace, *, into: Path | None = None, command: Sequence[str] = ()
) -> Order:
    return Order(
        urls=arguments.urls,
        temp_dir=arguments.temp_dir,
        # each URL was asked for by hand: their number, their sum and their time are the caller's own decision
        limits=Limits(
            max_mb=arguments.max_mb,
            max_total_mb=math.inf,
            max_files=len(arguments.urls),
            timeout=arguments.timeout,
            batch_timeout=math.inf,
        ),
        policy=_policy(arguments),
        accept=arguments.accept,
        headers=_headers(parser, arguments.header),
        proxy=arguments.proxy,
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
        hosts = UrlPolicy.discord().hosts or ()
        policy = UrlPolicy.only(*(arguments.allow_host or (*hosts, *(_LOOPBACK if local else ()))))
    return replace(policy, schemes=("https", "http"), ports=None, private=True) if local else policy


def _text(value: str) -> str:
    if not value or value.isspace():
        raise argparse.ArgumentTypeError("must not be empty")
    return value


def _headers(parser: _Parser, values: Sequence[str]) -> Mapping[str, str]:
    """Return the fields of `--header` and of the environment.

    An error message shows none of their values.
    """
    headers: dict[str, str] = {}
    try:
        lines = os.environ.get(HEADERS_VARIABLE, "").splitlines()
        for value in values:
            lines += _secret(value).splitlines() if value.startswith("@") else [value]
        for line in filter(str.strip, lines):
            field = _FIELD.fullmatch(line.strip())
            if field is None:  # nor empty: what follows it without quotes would be taken for URLs, and shown
                raise ValueError("it must be 'NAME: VALUE', in quotes")  # noqa: TRY301  # told below, as all is
            headers[field[1]] = field[2]
    except ValueError as error:
        parser.error(f"argument --header: {error}")
    except OSError as error:
        parser.error(f"argument --header: {error.filename or 'standard input'}: {error.strerror}")
    return headers


def _secret(value: str) -> str:
    """Return the contents of @FILE, or of standard input for @-.

    What stands on a command line is seen by all users of the machine.
    """
    if value == "@-":
        return sys.stdin.read() if sys.stdin else ""
    return Path(value[1:]).read_text("utf-8")


def _proxy(value: str) -> str:
    url = ""
    try:
        url = _secret(value).strip() if value.startswith("@") else value
        parts = urlsplit(url)
        usable = parts.scheme in _PROXY_SCHEMES and parts.hostname and (parts.port or 1)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{error.filename}: {error.strerror}") from None
    except ValueError:  # its words would show the URL, and with it a password
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"it must be a URL with a host and one of {', '.join(_PROXY_SCHEMES)}")
    return url


def _checked(check: Callable[[Any], object], value: Any) -> Any:
    """Return what the check does not refuse.

    The words of its `ValueError` are shown, which argparse would replace by its own.
    """
    try:
        check(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return value


def _number(text: str) -> float:
    value: Any = text
    with suppress(ValueError):
        value = float(text)
    return float(_checked(functools.partial(require_number, "it", zero=False), value))


def _directory(text: str) -> Path:
    """Return the path of a directory that can take files.

    It exists, or it can be made. This is checked here, since after the download it would be too late.
    """
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
