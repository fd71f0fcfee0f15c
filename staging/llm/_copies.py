"""Delete copies at a provider.

It is done in parallel and with retries. Where no id is known, it is done by name.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from staging._text import one_line
from staging.llm._files_api import FilesApi, Stored, status_of
from staging.llm._values import MediaPart

AT_ONCE = 8  # requests
_ONE_REQUEST = 4.0  # seconds for one deletion, before it is tried again
_LOOKS = (0.0, 0.5, 1.5)  # seconds before each look at the list for a copy whose answer was lost
_log = logging.getLogger("staging")


@dataclass(slots=True)
class Copy:
    """Holds one file on its way to the provider and back.

    Attributes:
        name: what it is called there; no other file is.
        part: what is sent. None when a dead process sent it.
        stored: what the provider answered.
        asked: whether a request for it was made.
        gone: whether it is certainly not there, or not any more.
        cut: whether we broke its request off, so that it may still arrive.
        reason: why it is still there, or was not taken.
    """

    name: str
    part: MediaPart | None = None
    stored: Stored | None = None
    asked: bool = False
    gone: bool = False
    cut: bool = False
    reason: str = ""


def left_of(copies: Sequence[Copy]) -> tuple[tuple[str, str], ...]:
    """Return the copies that may still be there, as (id or name, reason)."""
    return tuple(
        (copy.stored.identity if copy.stored else copy.name, copy.reason or "no answer came in time")
        for copy in copies
        if copy.asked and not copy.gone
    )


def tell(api: FilesApi, left: Sequence[tuple[str, str]]) -> None:
    """Log what is left, once."""
    if left:
        some = "; ".join(f"{one_line(identity)}: {one_line(why)}" for identity, why in left[:3])
        told = "Could not delete %d of the copies at %s (%s); left to llm.sweep_uploads"
        _log.warning(told, len(left), api.provider, some)


async def delete_all(api: FilesApi, copies: Sequence[Copy], seconds: float) -> int:
    """Delete what is there, and return how many copies were deleted.

    It does as much as the time allows.
    """
    deleted = 0
    places = anyio.Semaphore(AT_ONCE)

    async def delete(copy: Copy, identity: str) -> None:
        nonlocal deleted
        async with places:
            if await _delete(api, copy, identity):
                deleted += 1

    lost = [copy for copy in copies if copy.asked and not copy.gone and copy.stored is None]
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for copy in copies:
                if copy.stored is not None and not copy.gone:
                    group.start_soon(delete, copy, copy.stored.identity)
            found = await _delete_lost(api, lost)
            deleted += found
    return deleted


async def _delete(api: FilesApi, copy: Copy, identity: str) -> bool:
    """Delete one copy with retries, and tell whether it was there."""
    attempt = 0
    while True:
        try:
            with anyio.fail_after(_ONE_REQUEST):
                await api.delete(identity)
        except Exception as error:  # noqa: BLE001  # whatever a client raises
            if api.is_gone(error):
                copy.gone, copy.reason = True, ""
                return False
            copy.reason = shown(error)
            if not may_help(error):
                return False
        else:
            copy.gone, copy.reason = True, ""
            return True
        await anyio.sleep(min(0.1 * 2**attempt, 2))
        attempt += 1


async def _delete_lost(api: FilesApi, lost: Sequence[Copy]) -> int:
    """Delete copies for which no answer came.

    It uses their names, or the ids in the provider's list.
    """
    deleted = 0
    for pause in _LOOKS if lost else ():
        await anyio.sleep(pause)
        there = [(copy, copy.name) for copy in lost] if api.named else await _listed(api, lost)
        for copy, identity in there:
            if await _delete(api, copy, identity):
                deleted += 1
                lost = [other for other in lost if other is not copy]
        if not lost:
            break
    for copy in lost:
        if copy.cut and not copy.reason:
            copy.reason = "its request was broken off, and may still arrive"
        copy.gone = not copy.reason
    return deleted


async def _listed(api: FilesApi, lost: Sequence[Copy]) -> list[tuple[Copy, str]]:
    """Return the copies that the provider has, with their ids.

    A list that cannot be read is tried again.
    """
    names = {copy.name: copy for copy in lost}
    attempt = 0
    while True:
        try:
            found = [(names[name], identity) async for name, identity in api.listed() if name in names]
        except Exception as error:  # noqa: BLE001  # whatever a client raises
            for copy in names.values():
                copy.reason = f"the list of files: {shown(error)}"
            if not may_help(error):
                return []
        else:
            for copy in names.values():
                copy.reason = ""
            return found
        await anyio.sleep(min(0.1 * 2**attempt, 2))
        attempt += 1


def may_help(error: Exception) -> bool:
    """Tell whether the same request may succeed later."""
    status = status_of(error)
    return status is None or status in {408, 409, 425, 429} or status >= 500


def never_left(error: BaseException | None) -> bool:
    """Tell whether no connection was made.

    Then nothing can have arrived.
    """
    while error is not None:
        if type(error).__name__ in {"ConnectError", "ConnectTimeout", "PoolTimeout"}:  # of httpx and httpx2
            return True
        error = error.__cause__ or error.__context__
    return False


def shown(error: Exception) -> str:
    """Return the kind of an error and its status.

    Its text may hold a secret.
    """
    status = status_of(error)
    return type(error).__name__ + (f", status {status}" if status is not None else "")
