"""The walls round a process that is about to read a hostile file.

Theory of operation. The process gives up its rights step by step. Each step holds without the others, so a kernel that
lacks one still does the rest. On Linux, in this order:

1. It gets a session of its own, so that it and its children are killed as a group. It gets SIGKILL when its parent
   ends (prctl(2)).
2. It keeps no descriptor but the file and the pipe, no environment, and no capability (capabilities(7)).
3. It is not dumpable, so other processes of the user cannot attach to it. It gets no new privileges.
4. Landlock (landlock(7)) stands round it. With ABI 1 (Linux 5.13), it can open only the files of Python's libraries,
   for reading. It cannot trace a process outside or read its memory. With ABI 2, no file can be linked or renamed
   elsewhere. With ABI 3, none can be truncated. ABI 4 forbids TCP, ABI 5 ioctl on devices, and ABI 6 signals and
   abstract sockets to the outside. Later ABIs add nothing here.
5. seccomp(2) stands round it on x86_64 and aarch64. It may open no socket, start no program and no child process, and
   send no signal but to itself. It may make none of the calls by which Landlock lets a process change files or other
   processes (chmod, setxattr, prlimit).

Elsewhere there are the limits of `bounds`, as far as the system has them.
"""

import ctypes
import os
import signal
import stat
import struct
import sys
from typing import Any

from staging.llm._converter.seccomp import program

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_PR_SET_CHILD_SUBREAPER = 36
_SECCOMP_MODE_FILTER = 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture but alpha
_CLOSE_RANGE = 436
_LAST_DESCRIPTOR = 0xFFFFFFFF
_RULE_PATH_BENEATH = 1
_GET_ABI = 1  # LANDLOCK_CREATE_RULESET_VERSION
_READ_FILE, _READ = 1 << 2, 1 << 2 | 1 << 3  # of files alone, of files and folders
_FS_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_FS_RIGHTS = (1 << 16) - 1  # ABI 5
_TCP = 1 << 0 | 1 << 1  # bind, connect; ABI 4
_SCOPES = 1 << 0 | 1 << 1  # abstract sockets, signals; ABI 6
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_CAPSET = {"x86_64": 126, "aarch64": 91}


class Sandbox:
    """Holds the walls, made before anything hostile is read.

    Each child then enters them.

    Args:
        folders: where Python's libraries lie; a reader may import from there.
    """

    def __init__(self, folders: list[str]) -> None:
        self._libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._ruleset = -1  # of Landlock, where the kernel has it: it allows only the libraries
        if not self._libc:
            return
        call = self._libc.syscall
        abi = call(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_GET_ABI))
        if abi < 1:
            return
        rights = [_FS_RIGHTS.get(abi, _ALL_FS_RIGHTS)] + [_TCP] * (abi >= 4) + [_SCOPES] * (abi >= 6)
        wanted = struct.pack(f"={len(rights)}Q", *rights)
        self._ruleset = call(ctypes.c_long(_CREATE_RULESET), wanted, ctypes.c_size_t(len(wanted)), ctypes.c_uint32(0))
        for folder in folders if self._ruleset >= 0 else ():
            try:
                place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            except OSError:  # an entry of sys.path that is not there
                continue
            rights_here = _READ if stat.S_ISDIR(os.fstat(place).st_mode) else _READ_FILE
            rule = struct.pack("=Qi", rights_here, place)
            call(ctypes.c_long(_ADD_RULE), ctypes.c_int(self._ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, 0)
            os.close(place)

    def rear(self) -> None:
        """Become the parent of every process that a converter leaves behind.

        This process becomes hard to attach to. It is the first to be killed when memory runs out.

        For the process that converters are forked from.
        """
        if self._libc:
            try:
                with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123  # as in bounds
                    score.write("1000")
            except OSError:  # a container may forbid it
                pass
            self._prctl(_PR_SET_CHILD_SUBREAPER, 1)
            self._prctl(_PR_SET_DUMPABLE, 0)

    def die_with(self, parent: int) -> None:
        """Be killed when the parent process ends.

        `parent` is its number.
        """
        if self._libc:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it ended before that took hold
                os._exit(1)

    def keep_only(self, first: int) -> None:
        """Close every descriptor from number `first` on, the rule set excepted."""
        for low, high in ((first, self._ruleset - 1), (max(first, self._ruleset + 1), _LAST_DESCRIPTOR)):
            numbers = ctypes.c_uint(low), ctypes.c_uint(max(0, high)), ctypes.c_uint(0)
            if low <= high and self._libc.syscall(ctypes.c_long(_CLOSE_RANGE), *numbers) < 0:  # before Linux 5.9
                os.closerange(low, min(high, 65_536) + 1)

    def enter(self) -> None:
        """Give up every right that reading a file does not need.

        There is no way back.
        """
        os.environ.clear()
        if not self._libc:
            return
        machine = os.uname().machine
        if machine in _CAPSET:
            header, nothing = struct.pack("Ii", _CAPABILITY_VERSION, 0), bytes(24)
            self._libc.syscall(ctypes.c_long(_CAPSET[machine]), header, nothing)
        self._prctl(_PR_SET_NO_NEW_PRIVS, 1)
        self._prctl(_PR_SET_DUMPABLE, 0)
        if self._ruleset >= 0:
            self._libc.syscall(ctypes.c_long(_RESTRICT_SELF), ctypes.c_int(self._ruleset), ctypes.c_uint32(0))
            os.close(self._ruleset)
        if code := program(machine, os.getpid()):  # the kernel reads its length and its place from struct sock_fprog
            held = ctypes.create_string_buffer(code, len(code))
            wanted = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(held)))
            self._prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(wanted))

    def _prctl(self, option: int, value: int, more: int = 0) -> None:
        unsigned = ctypes.c_ulong
        self._libc.prctl(ctypes.c_int(option), unsigned(value), unsigned(more), unsigned(0), unsigned(0))


def library_folders() -> list[str]:
    """Return the folders of `sys.path` that hold libraries by their name, and Python's own.

    An application's folder is not among them: its secrets often lie beside its code.
    """
    standard = os.path.dirname(os.__file__)  # noqa: PTH120  # as in bounds
    ours = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    installed = [place for place in sys.path if os.path.basename(place) in {"site-packages", "dist-packages"}]  # noqa: PTH119
    native = [place for place in sys.path if os.path.basename(place) == "lib-dynload"]  # noqa: PTH119
    return [standard, ours, *native, *installed, *_linked()]


def _linked() -> list[str]:
    """Return the folders of this process's shared libraries.

    A library that is loaded later lies there too (ld.so(8)).
    """
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123  # as in bounds
            paths = {line.rstrip("\n").partition("/")[2] for line in maps if ".so" in line}
    except OSError:
        return []
    return ["/etc/ld.so.cache", *sorted({os.path.dirname("/" + path) for path in paths})]  # noqa: PTH120
