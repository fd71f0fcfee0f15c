"""The directory in which workspaces are made, and the names that they get there."""

import base64
import logging
import os
import re
import stat
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from staging._disk.errors import storage_error
from staging._errors import WorkspaceError
from staging._text import one_line

_log = logging.getLogger("staging")

_PREFIX = "staging-"
_NAME = re.compile(f"{_PREFIX}([a-z2-7]{{16}})")  # base32 (RFC 4648), lower case: the same where case is folded
_RANDOM_BYTES = 6  # nobody makes the directory first; the other four are the sum: nobody has the name by accident


def prepare_root(temp_dir: str | os.PathLike[str] | None) -> Path:
    """Return the absolute root, in which a directory could be made a moment ago; missing parents get mode 0700.

    The last component must not be a symbolic link: where it leads may change between two uses. A root that others can
    write to without a sticky bit, or that belongs to a user who is neither this one nor root, is used all the same,
    since workspaces are private and reached by descriptor; it is logged once at WARNING (CVE-2025-71176 is what
    happens to predictable names in such a place).

    Args:
        temp_dir: the caller's wish; None for the system's temporary directory.

    Raises:
        WorkspaceError: if the root cannot be made, is no directory, is a symbolic link, or cannot be written.
    """
    try:
        root = Path(os.path.realpath(tempfile.gettempdir())) if temp_dir is None else _absolute(temp_dir)
        _make_directories(root)
        _judge_root(root)
        _try_out(root)
    except WorkspaceError:
        raise
    except OSError as error:
        raise storage_error(error, f"temp_dir {temp_dir}") from error
    except ValueError as error:  # a NUL byte, a lone surrogate
        raise WorkspaceError("storage", one_line(f"temp_dir is no path: {error}")) from error
    return root


def _absolute(temp_dir: str | os.PathLike[str]) -> Path:
    given: Any = temp_dir  # annotations bind no caller
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"temp_dir must be a path, as text or os.PathLike, not a {type(given).__qualname__}")
    if not os.fspath(temp_dir):
        raise WorkspaceError("storage", "temp_dir is empty")
    if re.match("[A-Za-z]+://", str(temp_dir)):  # it would become directories
        raise WorkspaceError("storage", "temp_dir is a URL; give URLs to stage.download")
    return Path(temp_dir).absolute()


def _make_directories(root: Path) -> None:
    for path in (*reversed(root.parents), root):
        if not os.path.isdir(path):  # noqa: PTH112  # unlike Path.is_dir, False for whatever is wrong: mkdir says what
            _make_directory(path)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(0o700)
    except FileExistsError:  # made by another process meanwhile, or something is in the way
        if path.is_symlink():
            raise _linked(path) from None
        if not path.is_dir():
            raise WorkspaceError("storage", f"temp_dir: {one_line(str(path))} is not a directory") from None


def _linked(root: Path) -> WorkspaceError:
    return WorkspaceError("storage", f"temp_dir {one_line(str(root))} is a symbolic link; give its target")


_warned: set[Path] = set()


def _judge_root(root: Path) -> None:
    found = root.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _linked(root)
    complaint = _complaint(found)
    if complaint and root not in _warned:
        _warned.add(root)
        _log.warning("temp_dir %s %s; workspaces in it are private all the same", one_line(str(root)), complaint)


def _complaint(found: os.stat_result) -> str:
    if not hasattr(os, "geteuid"):
        return ""  # Windows: modes and owners mean something else there
    if found.st_uid not in {0, os.geteuid()}:
        return f"belongs to another user (uid {found.st_uid})"
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        return "can be written by others and has no sticky bit"
    return ""


def _try_out(root: Path) -> None:
    """Make a directory and remove it: permission bits do not tell of read-only mounts, quotas and access lists."""
    trial = root / new_name()
    trial.mkdir(0o700)
    with suppress(FileNotFoundError):  # a sweep took it for the orphan that it looks like
        trial.rmdir()


def new_name() -> str:
    random = os.urandom(_RANDOM_BYTES)
    return _PREFIX + base64.b32encode(random + _check_sum(random)).decode("ascii").lower()


def is_our_name(name: str) -> bool:
    match = _NAME.fullmatch(name)
    decoded = base64.b32decode(match[1].upper()) if match else b""
    return match is not None and _check_sum(decoded[:_RANDOM_BYTES]) == decoded[_RANDOM_BYTES:]


def _check_sum(random: bytes) -> bytes:
    return zlib.crc32(b"attachment-staging " + random).to_bytes(4, "big")
