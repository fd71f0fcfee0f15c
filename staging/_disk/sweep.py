"""Remove workspaces whose owner died, and nothing else.

Theory of operation. Three questions are asked, the cheap ones first: is the name ours, is it a real directory of this
user, is its lease free? A sweep can be stopped between any two entries, also inside an orphan that it empties, so a
root full of foreign names holds up no stage.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from staging._disk.errors import storage_error
from staging._disk.lease import Lease
from staging._disk.removal import Stop, StoppedError, never, remove_workspace
from staging._disk.root import is_open_to_all, is_our_name, warn_of_no_locks, warn_once

_NO_LOCKS = "Cannot sweep %s: its file system has no locks, which tell the dead from the living"
_OPEN_TO_ALL = "Does not sweep %s: every user can rename directories there; chmod +t it"


def sweep(root: str | os.PathLike[str]) -> int:
    """Remove the workspaces of dead processes, and return how many.

    A workspace whose owner lives is never removed. Whether the owner lives is decided by the lease alone: not by age,
    clock or process number. What this library did not make is not touched. A workspace is a real directory directly
    under `root` that belongs to this user and has a name that this library gave, check sum included. Many processes may
    start, stop and sweep on one root at once; each orphan is counted by one of them. Entering a stage or an area does
    this for its own root.

    Where a file system has no locks, or every user can rename what lies in `root`, nothing is swept and a warning is
    logged.

    Args:
        root: what stages and areas were given as `temp_dir`.

    Raises:
        WorkspaceError: if `root` cannot be read. A missing one has no orphans.
    """
    taken, unsure = take_orphans(root)
    if unsure:
        warn_once(_NO_LOCKS, Path(root).absolute())
    return taken


def sweep_until(root: Path, stop: Stop) -> int:
    """Sweep the root of a stage or area, and count the orphans.

    Args:
        root: as `prepare_root` returned it.
        stop: asked between any two entries; the sweep ends once it says True.

    Raises:
        WorkspaceError: if `root` cannot be read.
    """
    taken, unsure = take_orphans(root, stop=stop)
    if unsure:
        warn_of_no_locks(root)
    return taken


def take_orphans(root: str | os.PathLike[str], *, stop: Stop = never) -> tuple[int, bool]:
    """Remove the orphans of a root, and return their number.

    The second result tells whether one could not be judged, since its file system has no locks.

    Raises:
        WorkspaceError: if `root` cannot be read.
    """
    taken, unsure = 0, False
    try:
        if is_open_to_all(os.stat(root)):  # noqa: PTH116  # text, too
            warn_once(_OPEN_TO_ALL, Path(root).absolute())
            return 0, False
        with os.scandir(os.fspath(root)) as entries:
            for entry in entries:
                if stop():
                    break
                if is_our_name(entry.name):
                    gone = reclaim(entry.path, stop)
                    unsure = unsure or gone is None
                    taken += bool(gone)
    except FileNotFoundError:
        return 0, False
    except OSError as error:
        raise storage_error(error, f"cannot sweep {os.fspath(root)}") from error
    return taken, unsure


def reclaim(path: str, stop: Stop = never) -> bool | None:
    """Remove one workspace if it is an orphan.

    Returns:
        Whether it is gone by our hand; None where there are no locks.
    """
    with suppress(OSError, StoppedError):  # alive, taken by another sweep, gone, or not to be opened
        found = os.lstat(path)
        if stat.S_ISDIR(found.st_mode) and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid()):
            lease = Lease(path)
            try:
                return not remove_workspace(path, lease, stop=stop) if lease.held else None
            finally:
                lease.release()
    return False
