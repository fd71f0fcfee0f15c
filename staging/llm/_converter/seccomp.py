"""List the system calls that a converter may not make.

They become a program for the kernel (seccomp(2), SECCOMP_MODE_FILTER).
"""

import errno
import struct

_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF: LD W ABS, JMP, RET
_NUMBER, _ARCH, _FIRST = 0, 4, 16  # offsets in struct seccomp_data; the low half of an argument is at its offset
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # the bit of a second set of calls on x86_64
_CLONE_THREAD = 0x00010000

# fmt: off
_BY_ARCH = {
    "x86_64": {
        "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "accept4": 288,
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322,
        "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "perf_event_open": 298,
        "setpgid": 109, "setsid": 112, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144,
        "sched_setattr": 314, "sched_setaffinity": 203, "ioprio_set": 251, "migrate_pages": 256, "move_pages": 279,
        "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
        "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
        "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
        "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
        "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "mq_open": 240,
        "add_key": 248, "request_key": 249, "keyctl": 250,
        "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
        "personality": 135, "inotify_init": 253, "inotify_init1": 294, "fanotify_init": 300,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "bpf": 321, "userfaultfd": 323,
        "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "reboot": 169,
        "tgkill": 234, "prlimit64": 302, "clone": 56,
    },
    "aarch64": {
        "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "accept4": 242,
        "execve": 221, "execveat": 281,
        "kill": 129, "tkill": 130, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "perf_event_open": 241,
        "setpgid": 154, "setsid": 157, "setpriority": 140, "sched_setparam": 118, "sched_setscheduler": 119,
        "sched_setattr": 274, "sched_setaffinity": 122, "ioprio_set": 30, "migrate_pages": 238, "move_pages": 239,
        "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88,
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
        "shmget": 194, "shmat": 196, "semget": 190, "msgget": 186, "mq_open": 180,
        "add_key": 217, "request_key": 218, "keyctl": 219,
        "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
        "personality": 92, "inotify_init1": 26, "fanotify_init": 262,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "bpf": 280, "userfaultfd": 282,
        "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104, "reboot": 142,
        "tgkill": 131, "prlimit64": 261, "clone": 220,
    },
}
_EVERYWHERE = {  # calls newer than 2019 have one number
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432,
    "fspick": 433, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
    "process_mrelease": 448, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469,
}
# fmt: on
_CLONE3 = 435


def program(machine: str, pid: int) -> bytes:
    """Return the filter for process `pid`.

    It is empty for a machine that is not in the tables.
    """
    if machine not in _ARCHES:
        return b""
    calls = _BY_ARCH[machine] | _EVERYWHERE
    allow, deny = _step(_RETURN, _ALLOW), _step(_RETURN, _ERROR | errno.EPERM)
    first = _step(_LOAD, _FIRST)
    steps = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, _ARCHES[machine], yes=1),
        _step(_RETURN, _KILL),  # the calls of another architecture have other numbers
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, no=1),
        deny,
        # its flags are in memory; the C library then uses clone
        *_if_call(_CLONE3, _step(_RETURN, _ERROR | errno.ENOSYS)),
        *_if_call(calls.pop("tgkill"), first, _step(_EQUAL, pid, no=1), allow, deny),  # abort(3)
        # getrlimit(2) of the C library
        *_if_call(calls.pop("prlimit64"), first, _step(_EQUAL, 0, no=1), allow, deny),
        *_if_call(calls.pop("clone"), first, _step(_ANY_OF, _CLONE_THREAD, no=1), allow, deny),
    ]
    for number in sorted(calls.values()):
        steps += _if_call(number, deny)
    return b"".join([*steps, allow])


def _if_call(number: int, *steps: bytes) -> tuple[bytes, ...]:
    return _step(_EQUAL, number, no=len(steps)), *steps


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """Return one instruction (struct sock_filter).

    The two jumps, for when it holds and when not, are counted from the next instruction.
    """
    return struct.pack("=HBBI", code, yes, no, value)
