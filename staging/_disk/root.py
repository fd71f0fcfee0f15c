"""The directory of the workspaces, and the names in it.

Theory of operation. A path is only as safe as the directories above it. A user who may rename the workspace can put
another directory in its place. Readers of a staged file's path then read from that directory. So a root that every user
can write, and that has no sticky bit, is refused, as ssh and sudo refuse such places. What is merely doubtful is logged
once: a root of another user or of a group, and such a directory further up.

What a sweep may take is known by the name alone, which ends in a check sum of its random part. So there is no moment,
in making or in removing, at which a kill leaves something that looks like a directory of another program.
"""

import base64
import errno
import logging
import os
import re
import stat
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from staging._disk.errors import storage_error
from staging._errors import WorkspaceError
from staging._text import one_line

if os.name == "posix":
    import grp

_log = logging.getLogger("staging")

_PREFIX = "staging-"
_NAME = re.compile(f"{_PREFIX}([a-z2-7]{{16}})")  # base32 (RFC 4648), lower case: the same where case is folded
_RANDOM_BYTES = 6  # too many to guess the name and make it first; four bytes of check sum exclude the names of others
_ROOT_GROUP = 0  # root's own, which containers with a random user are in
_ADVICE = "give a temp_dir that this process can write, or set TMPDIR"

_DOUBTFUL = "temp_dir %s %s; its files could be replaced there"
_NO_LOCKS = "temp_dir %s has no file locks; what a killed process leaves there is never swept"
_GROUP_OUTSIDE = "temp_dir %s cannot be reached by group %d: %s does not let it through (chmod o+x, or chgrp and g+x)"


def prepare_root(temp_dir: str | os.PathLike[str] | None, *, group: int | None = None) -> Path:
    """Make the root if it is missing, and return its path.

    The path is absolute. A directory was made and removed there, as a test. What is missing is made with mode 0700;
    with `group`, 0710 and in that group, so that its members get through. What exists keeps its mode. The last
    component must not be a symbolic link: where it leads may change between two uses. Predictable names in a place that
    others write are CVE-2025-71176; swapped directories are CVE-2026-3888.

    Args:
        temp_dir: the caller's wish; None for the system's temporary directory.
        group: number of the group that may read the files.

    Raises:
        WorkspaceError: if the root cannot be made, is no directory, is a symbolic link, cannot be written, or can be
            written by every user without a sticky bit.
    """
    try:
        root = _absolute(temp_dir)
        _make_directories(root, group)
        _judge_root(root)
        if group is not None:
            _judge_way(root, group)
        trial = root / new_name()  # permission bits do not show read-only mounts, quotas and access lists
        trial.mkdir(0o700)
        with suppress(FileNotFoundError):  # a sweep took it for the orphan that it looks like
            trial.rmdir()
    except WorkspaceError:
        raise
    except OSError as error:
        place = "the system's temporary directory" if temp_dir is None else f"temp_dir {os.fspath(temp_dir)}"
        told = storage_error(error, place)
        raise WorkspaceError(told.reason, f"{told.detail}; {_ADVICE}", error.errno) from error
    except ValueError as error:  # a NUL byte, a lone surrogate
        raise WorkspaceError("storage", one_line(f"temp_dir is no path: {error}")) from error
    return root


def _absolute(temp_dir: str | os.PathLike[str] | None) -> Path:
    if temp_dir is None:
        import tempfile  # noqa: PLC0415  # brings three compressors

        try:
            return Path(os.path.realpath(tempfile.gettempdir()))
        except FileNotFoundError as error:  # a read-only container; the message names the places that were tried
            tried = one_line(error.strerror or str(error))
            raise WorkspaceError("storage", f"{tried}; {_ADVICE}", error.errno) from error
    given: Any = temp_dir  # a caller may ignore the annotation
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"temp_dir must be a path, as text or os.PathLike, not a {type(given).__qualname__}")
    if not os.fspath(temp_dir):
        raise WorkspaceError("storage", "temp_dir is empty")
    if re.match("[A-Za-z]+://", str(temp_dir)):  # it would become directories
        raise WorkspaceError("storage", "temp_dir is a URL; give URLs to stage.download")
    return Path(temp_dir).absolute()


def _make_directories(root: Path, group: int | None) -> None:
    for path in (*reversed(root.parents), root):
        if os.path.isdir(path):  # noqa: PTH112  # unlike Path.is_dir, False for whatever is wrong: mkdir says what
            continue
        try:
            path.mkdir(0o700)
        except FileExistsError:  # made by another process meanwhile, or something is in the way
            if path.is_symlink():
                raise _linked(path) from None
            if not path.is_dir():
                raise WorkspaceError("storage", f"temp_dir: {one_line(str(path))} is not a directory") from None
            continue
        try:
            if group is not None:
                give_to_group(path, group, 0o710)
        except BaseException:
            path.rmdir()
            raise


def _linked(root: Path) -> WorkspaceError:
    return WorkspaceError("storage", f"temp_dir {one_line(str(root))} is a symbolic link; give its target")


# ── who else is there ────────────────────────────────────────────────────────────────────────────────────────────────

_warned: set[tuple[str, str]] = set()


def warn_once(message: str, root: Path, *arguments: object) -> None:
    """Log a warning about a root, but only once in this process."""
    if (message, os.fspath(root)) not in _warned:
        _warned.add((message, os.fspath(root)))
        _log.warning(message, one_line(str(root)), *arguments, extra={"staging": {"root": os.fspath(root)}})


def warn_of_no_locks(root: Path) -> None:
    """Log once that the root's file system has no locks."""
    warn_once(_NO_LOCKS, root)


def is_open_to_all(found: os.stat_result) -> bool:
    """Return whether every user can rename what lies in this directory."""
    return os.name == "posix" and bool(found.st_mode & stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX


def _judge_root(root: Path) -> None:
    found = root.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _linked(root)
    if is_open_to_all(found):
        detail = "every user can replace what lies in it; chmod +t it, or give a directory inside it"
        raise WorkspaceError("storage", f"temp_dir {one_line(str(root))}: {detail}", errno.EPERM)
    if os.name != "posix":
        return  # modes and owners mean something else there
    for path in (root, *root.parents):
        found = path.stat()
        by_group = found.st_mode & stat.S_IWGRP and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in {0, os.geteuid()}:
            complaint = f"belongs to another user (uid {found.st_uid})"
        elif is_open_to_all(found):
            complaint = "can be written by every user and has no sticky bit"
        elif by_group and found.st_gid not in {_ROOT_GROUP, os.getegid()}:
            complaint = f"can be written by group {found.st_gid} and has no sticky bit"
        else:
            continue
        place = "" if path == root else f"lies in {one_line(str(path))}, which "
        warn_once(_DOUBTFUL, root, place + complaint)
        return


# ── the group ────────────────────────────────────────────────────────────────────────────────────────────────────────


def group_number(group: int | str | None) -> int | None:
    """Return the number of a POSIX group.

    It may ask a directory service, so it blocks.

    Args:
        group: its number or name; None for no group.

    Raises:
        WorkspaceError: if there is no such group, or no groups at all on this system.
    """
    if group is None:
        return None
    if os.name != "posix":
        raise WorkspaceError("storage", "group works on POSIX systems only")
    if isinstance(group, int):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        detail = f"there is no group {one_line(group, limit=60)!r} on this machine; give its name or number"
        raise WorkspaceError("storage", detail) from None


def require_group(group: Any) -> None:
    """Raise at once for a value that can name no group.

    Raises:
        TypeError: if it is neither a number nor text.
        ValueError: if it is negative, too large or empty.
    """
    if group is None:
        return
    if isinstance(group, bool) or not isinstance(group, int | str):
        raise TypeError(f"group must be a number or a name, not a {type(group).__qualname__}")
    if group == "" or (isinstance(group, int) and not 0 <= group < 2**32 - 1):  # the last number means "no change"
        raise ValueError(f"group is no number or name of a group: {group!r}")


def give_to_group(place: Path | int, group: int, mode: int) -> None:
    """Give a directory or file of ours to a group, with this mode.

    Args:
        place: its path, or a descriptor.
        group: number of the group.
        mode: the permission bits.

    Raises:
        WorkspaceError: if this process may not.
    """
    try:
        os.chown(place, -1, group)
        os.chmod(place, mode)  # noqa: PTH101  # mostly a descriptor
    except PermissionError as error:
        detail = f"files cannot be given to group {group}: this process is no member of it"
        raise WorkspaceError("storage", detail, error.errno) from error


def _judge_way(root: Path, group: int) -> None:
    """Log once if the group's members cannot reach the root.

    Members are taken to have no rights but those of the group and of all users.
    """
    for path in (*reversed(root.parents), root):
        found = path.stat()
        needed = stat.S_IXGRP if found.st_gid == group else stat.S_IXOTH
        if not found.st_mode & needed:
            warn_once(_GROUP_OUTSIDE, root, group, one_line(str(path)))
            return


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def new_name() -> str:
    """Return a name for a workspace, unpredictable and known as ours."""
    random = os.urandom(_RANDOM_BYTES)
    return _PREFIX + base64.b32encode(random + _check_sum(random)).decode("ascii").lower()


def is_our_name(name: str) -> bool:
    """Return whether a name was made by `new_name`."""
    match = _NAME.fullmatch(name)
    decoded = base64.b32decode(match[1].upper()) if match else b""
    return match is not None and _check_sum(decoded[:_RANDOM_BYTES]) == decoded[_RANDOM_BYTES:]


def _check_sum(random: bytes) -> bytes:
    return zlib.crc32(b"attachment-staging " + random).to_bytes(4, "big")
