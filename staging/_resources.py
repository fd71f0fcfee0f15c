"""What stages share: the root, the way to the network, the limits on how much happens at once, the process's budget."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import anyio

from staging._budget import Budget
from staging._disk.root import prepare_root
from staging._disk.sweep import sweep
from staging._models import Limits, to_bytes
from staging._net.client import AsyncClient, through
from staging._net.policy import UrlPolicy
from staging._net.transport import Send, Transport
from staging._threads import in_thread


class Resources(NamedTuple):
    """Opened by an area for many stages, or by a lone stage for itself.

    Args:
        root: under which workspaces are made.
        policy: what may be contacted; one for all, because warm connections are shared.
        send: a request in, a response with its body unread out.
        turns: downloads at once.
        budget: bytes on disk, over all stages.
    """

    root: Path
    policy: UrlPolicy
    send: Send
    turns: "anyio.Semaphore"
    budget: Budget


@asynccontextmanager
async def open_resources(
    temp_dir: str | PathLike[str] | None,
    *,
    limits: Limits,
    policy: UrlPolicy,
    client: AsyncClient | None,
    tls: ssl.SSLContext | None,
    max_total_mb: float | None,
) -> AsyncIterator[Resources]:
    """Make the root, sweep it of orphans, and keep the transport open for the scope.

    Raises:
        WorkspaceError: if the root cannot be used; nothing was made or contacted.
    """
    root = await in_thread(_prepare, temp_dir)
    transport = Transport(policy, tls)
    try:
        yield Resources(
            root=root,
            policy=policy,
            send=transport.send if client is None else through(client),
            turns=anyio.Semaphore(limits.concurrency, fast_acquire=True),
            budget=Budget(to_bytes(float("inf") if max_total_mb is None else max_total_mb), "the process"),
        )
    finally:
        await transport.aclose()


def _prepare(temp_dir: str | PathLike[str] | None) -> Path:
    root = prepare_root(temp_dir)
    sweep(root)
    return root
