"""Workspaces whose owner died go from here, and nothing else does."""

import os
import stat
from contextlib import suppress

from staging._disk.errors import storage_error
from staging._disk.lease import Lease
from staging._disk.removal import remove_workspace
from staging._disk.root import is_our_name


def sweep(root: str | os.PathLike[str]) -> int:
    """Remove the workspaces under `root` whose owners are dead, and return how many; never a living one.

    Whether the owner lives is decided by the lease alone: not by age, clock or process number. What this library did
    not make is not touched: only real directories directly under `root` count that belong to this user and have a name
    that this library gave, check sum included. Safe when many processes start, stop and sweep on one root at once; each
    orphan is counted by one of them. Entering a stage or an area does this for its own root.

    Args:
        root: what stages and areas were given as `temp_dir`.

    Raises:
        WorkspaceError: if `root` cannot be read. A missing one has no orphans.
    """
    try:
        with os.scandir(os.fspath(root)) as entries:
            return sum(_reclaim(entry.path) for entry in entries if is_our_name(entry.name))
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise storage_error(error, f"cannot sweep {os.fspath(root)}") from error


def _reclaim(path: str) -> bool:
    """Remove one workspace if it is an orphan; tell whether it is gone by our hand."""
    with suppress(OSError):  # alive, taken by another sweep, gone, or not to be opened: not our business
        if _is_own_directory(os.lstat(path)):
            lease = Lease(path)
            try:
                return lease.held and not remove_workspace(path, lease)
            finally:
                lease.release()
    return False


def _is_own_directory(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())
