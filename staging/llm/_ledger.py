"""Record on disk which copies a scope has given to a provider.

So they can be deleted there after this process was killed.

Theory of operation. A ledger is one file directly under the stage's root, mode 0600, locked by the process that made
it. The kernel lets the lock go when that process dies, however it dies (flock(2)). So a ledger whose lock is free has
no living owner, and `orphans` hands it out. It is made under another name, filled, locked and then renamed, so no
reader ever sees half of it. It names each copy before that is sent, so that a copy whose answer never arrived is found
by its name. Ids are appended as they come, each in one write. A line that a crash has cut is ignored, since its name
stands before it.

Nothing of the client is stored: no credential, no address.
"""

import contextlib
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NAME = re.compile(r"staging-uploads-[0-9a-f]{16}(\.new)?")
_ID = re.compile(r"[\w.:/-]{1,300}", re.ASCII)
_MOST = 4_000_000  # bytes of a ledger that are read: a hundred thousand copies

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # behind all content: a locked byte cannot be read by others
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Ledger:
    """Holds names and ids of the copies of one scope.

    Every method blocks. Call it in a worker thread.
    """

    def __init__(self, root: str) -> None:
        self._path = str(Path(root) / f"staging-uploads-{secrets.token_hex(8)}")
        self._descriptor = -1

    def open(self, provider: str, names: Sequence[str]) -> None:
        """Make the file, with the names of what is about to be sent.

        Raises:
            OSError: if it cannot be written or locked; nothing is left then.
        """
        new = f"{self._path}.new"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(new, flags | getattr(os, "O_BINARY", 0), 0o600)
        try:
            _lock(self._descriptor)
            lines = [{"provider": provider}, *({"name": name} for name in names)]
            self._write("".join(json.dumps(line) + "\n" for line in lines))
            os.rename(new, self._path)  # noqa: PTH104  # text
        except BaseException:
            self._close()
            with contextlib.suppress(OSError):
                os.unlink(new)  # noqa: PTH108  # text
            raise

    def add(self, name: str, identity: str = "") -> None:
        """Write the id of a copy, or one name more."""
        self._write(json.dumps({"name": name, **({"id": identity} if identity else {})}) + "\n")

    def _write(self, text: str) -> None:
        data = text.encode()
        if os.write(self._descriptor, data) != len(data):
            raise OSError(28, "no space left for the list of uploads")

    def close(self, *, keep: bool) -> None:
        """Let the lock go.

        Without `keep`, the file is removed first. A second call does nothing.
        """
        if self._descriptor >= 0 and not keep:
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108  # text
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Orphan:
    """A ledger whose owner is dead, locked by us meanwhile.

    Attributes:
        copies: names of copies, and their ids as far as they arrived.
    """

    def __init__(self, path: str, descriptor: int, copies: dict[str, str]) -> None:
        self._path, self._descriptor = path, descriptor
        self.copies = copies

    def close(self, *, keep: bool) -> None:
        """Let the lock go.

        Without `keep`, the file is removed first.
        """
        if not keep:
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108  # text
        os.close(self._descriptor)


def orphans(root: str, provider: str) -> list[Orphan]:
    """Return the ledgers of dead owners under `root` for `provider`.

    The ledger of a living owner is never among them.

    Raises:
        OSError: if `root` cannot be read. A missing one has none.
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    found: list[Orphan] = []
    paths: list[str] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
        paths += [entry.path for entry in entries if _NAME.fullmatch(entry.name)]
    for path in paths:
        with contextlib.suppress(OSError), contextlib.ExitStack() as closing:  # its owner lives, or it cannot be had
            descriptor = os.open(path, flags)
            closing.callback(os.close, descriptor)
            _lock(descriptor)
            now = os.fstat(descriptor)
            own = not hasattr(os, "geteuid") or now.st_uid == os.geteuid()  # another user's could name our copies
            if not own or not stat.S_ISREG(now.st_mode) or not os.path.samestat(now, os.lstat(path)):
                continue
            told, copies = _read(descriptor)
            if path.endswith(".new"):  # its owner died before it sent anything
                os.unlink(path)  # noqa: PTH108  # text
            elif told == provider:
                found.append(Orphan(path, descriptor, copies))
                closing.pop_all()
    return found


def _read(descriptor: int) -> tuple[str, dict[str, str]]:
    provider = ""
    copies: dict[str, str] = {}
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:  # a descriptor has no path
        for line in file.read(_MOST).split(b"\n"):
            told = _line(line)
            provider = provider or _text(told, "provider")
            if name := _text(told, "name"):
                copies[name] = _text(told, "id") or copies.get(name, "")
    return provider, copies


def _line(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:  # cut by a crash
        return {}
    return told if isinstance(told, dict) else {}


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""
