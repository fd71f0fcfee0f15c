"""What stages share, and how it is opened and closed.

That is the root, the way to the network, the turns, the budget of the process, and the counters.
"""

import inspect
import logging
import ssl
import threading
from collections import Counter
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Self

from staging._budget import Budget
from staging._disk.root import group_number, prepare_root, require_group
from staging._disk.sweep import sweep_until
from staging._errors import Reason, WorkspaceError
from staging._models import Limits, require_number, to_bytes
from staging._net.client import AsyncClient, require_client, through
from staging._net.policy import UrlPolicy
from staging._net.transport import Send, Transport
from staging._text import one_line
from staging._threads import Background, in_thread
from staging._turns import Turns

_log = logging.getLogger("staging")


class Options(NamedTuple):
    """What a caller wants of the resources."""

    temp_dir: str | PathLike[str] | None
    limits: Limits
    policy: UrlPolicy
    client: AsyncClient | None
    tls: ssl.SSLContext | None
    group: int | str | None = None
    max_total_mb: float | None = None

    def checked(self) -> Self:
        """Return these options, which are right.

        Raises:
            TypeError: if one is not what its annotation says.
            ValueError: if `max_total_mb` or `group` is not valid, or `tls` stands beside `client`, which would not use
                it.
        """
        if self.client is not None:
            require_client(self.client)
        policy = "a UrlPolicy, such as UrlPolicy.only('files.example.com')"
        _require("policy", self.policy, isinstance(self.policy, UrlPolicy), policy)
        tls = "an SSL context (ssl.create_default_context)"
        _require("tls", self.tls, self.tls is None or isinstance(self.tls, ssl.SSLContext), tls)
        require_limits(self.limits)
        require_group(self.group)
        if self.client is not None and self.tls is not None:
            raise ValueError("tls does nothing beside client: give it to the client, httpx.AsyncClient(verify=...)")
        if self.max_total_mb is not None:
            require_number("max_total_mb", self.max_total_mb, zero=False)
        return self


def require_limits(limits: Any) -> None:
    """Raise `TypeError` for what is no `Limits`."""
    _require("limits", limits, isinstance(limits, Limits), "Limits(...)")


def require_settings(on_event: Any, label: Any, refresh: Any) -> None:
    """Raise `TypeError` for settings of a stage that would fail at its first download."""
    right = on_event is None or (callable(on_event) and not inspect.iscoroutinefunction(on_event))
    _require("on_event", on_event, right, "a plain function, since it is not awaited")
    _require("label", label, isinstance(label, str), "text")
    _require("refresh", refresh, refresh is None or callable(refresh), "a function, which is awaited")


def _require(name: str, given: object, right: object, wanted: str) -> None:
    if not right:
        raise TypeError(f"{name} must be {wanted}; this is {one_line(repr(given), limit=80)}")


class Counters:
    """What has happened since the resources were opened."""

    def __init__(self) -> None:
        self.staged = self.bytes = self.removed = self.leftovers = self.orphans = 0
        self.failures: Counter[Reason] = Counter()


class Sweep:
    """Removes the orphans of a root in a background thread."""

    def __init__(self, root: Path, counters: Counters) -> None:
        self._root = root
        self._counters = counters
        self._stopped = threading.Event()
        self._thread = Background(self._run)

    async def wait(self, seconds: float) -> None:
        """Wait at most `seconds` until the sweep has ended.

        The sweep goes on in either case.
        """
        await self._thread.wait(seconds)

    def stop(self) -> None:
        """Stop the sweep before its next orphan."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            self._counters.orphans += sweep_until(self._root, self._stopped.is_set)
        except WorkspaceError as error:
            _log.warning("%s", error.detail)


class Resources(NamedTuple):
    """What an area or a lone stage has opened.

    Args:
        root: under which workspaces are made.
        group: number of the group that may read the files; None for none.
        policy: what may be contacted; one for all, because warm connections are shared.
        transport: holds the connections.
        send: a request in, a response with its body unread out.
        turns: downloads at once.
        budget: bytes on disk, over all stages.
        counters: what has happened.
        sweep: of the root, under way.
    """

    root: Path
    group: int | None
    policy: UrlPolicy
    transport: Transport
    send: Send
    turns: Turns
    budget: Budget
    counters: Counters
    sweep: Sweep

    def close(self) -> None:
        """Close the connections, and let the sweep end.

        Never waits. A second call does nothing.
        """
        self.sweep.stop()
        self.transport.close()


async def open_resources(options: Options) -> Resources:
    """Make the root, begin its sweep, and return what stages share.

    Nothing is contacted yet. The caller must close them.

    Raises:
        WorkspaceError: if the root cannot be used, or there is no such group.
    """
    # a directory service may be asked for a group
    group = None if options.group is None else await in_thread(group_number, options.group)
    root = await in_thread(partial(prepare_root, options.temp_dir, group=group))
    transport, counters = Transport(options.policy, options.tls), Counters()
    total = float("inf") if options.max_total_mb is None else options.max_total_mb
    return Resources(
        root=root,
        group=group,
        policy=options.policy,
        transport=transport,
        send=transport.send if options.client is None else through(options.client),
        turns=Turns(options.limits.concurrency),
        budget=Budget(to_bytes(total), "the process"),
        counters=counters,
        sweep=Sweep(root, counters),
    )
