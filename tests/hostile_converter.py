"""The converter with one more task: a reader that does its worst. Started by tests in place of the real script."""

import contextlib
import ctypes
import importlib.util
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
import types
from pathlib import Path

REAL = Path(importlib.util.find_spec("staging").origin).parent / "llm" / "_converter" / "__main__.py"  # not imported


def attempt(function, *args):
    """Return what came of it, or the name of what forbade it."""
    try:
        return str(function(*args))
    except BaseException as error:  # noqa: BLE001
        return f"refused {type(error).__name__} {getattr(error, 'errno', '')}".strip()


def read_bytes(path):
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(100)


def call(name, *args):
    """Call a function of the C library; raise what it failed with."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)
    return "done"


def connect(address):
    with socket.create_connection(address, 2) as line:
        line.sendall(b"exfiltrated")
    return "connected"


def udp(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        return line.sendto(b"x", address)


def abstract(name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect("\0" + name)
    return "connected"


def child():
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            os.setsid()
        for number in range(3):
            os.close(number)
        time.sleep(60)
        os._exit(0)
    return pid


def daemon():
    """Leave a process behind that is nobody's child and in no group."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(60)
        os._exit(0)
    return "left"


def prlimit(pid):
    import resource

    return resource.prlimit(pid, resource.RLIMIT_NOFILE)  # what could be read could be set


def escape(out, *, parent, paths, port, unix, place):
    """Try to reach everything that is none of a converter's business."""
    tries = {
        "environment of the parent": (read_bytes, f"/proc/{parent}/environ"),
        "memory of the parent": (read_bytes, f"/proc/{parent}/mem"),
        "environment of the fork server": (read_bytes, f"/proc/{os.getppid()}/environ"),
        "own /proc": (read_bytes, "/proc/self/environ"),
        "/etc/passwd": (read_bytes, "/etc/passwd"),
        "list /": (os.listdir, "/"),
        **{f"read {path}": (read_bytes, path) for path in paths},
        **{f"delete {path}": (os.unlink, path) for path in paths},
        **{f"chmod {path}": (os.chmod, path, 0o777) for path in paths},
        **{f"rename {path}": (os.rename, path, path + "2") for path in paths},
        **{f"truncate {path}": (os.truncate, path, 0) for path in paths},
        "chmod the input": (os.fchmod, 0, 0o777),
        "times of the input": (os.utime, 0),
        "write a file": (os.open, place, os.O_WRONLY | os.O_CREAT),
        "make a folder": (os.mkdir, place),
        "make a link": (os.symlink, "/etc", place),
        "TCP": (connect, ("127.0.0.1", port)),
        "UDP": (udp, ("127.0.0.1", port)),
        "abstract socket": (abstract, unix),
        "socket pair": (socket.socketpair,),
        "run a program": (os.execv, "/bin/true", ["true"]),
        "child": (child,),
        "attach to the parent": (call, "ptrace", 16, parent, None, None),
        "signal the parent": (os.kill, parent, 0),
        "signal the fork server": (os.kill, os.getppid(), 0),
        "limit the parent": (prlimit, parent),
        "priority of the parent": (os.setpriority, os.PRIO_PROCESS, parent, os.getpriority(os.PRIO_PROCESS, parent)),
        "own session": (os.setsid,),
    }  # fmt: skip
    for name, (function, *args) in tries.items():
        out.text(f"{name}: {attempt(function, *args)}\n")
    out.text(f"environ: {dict(os.environ)}\n")
    found = [number for number in range(64) if attempt(os.fstat, number)[:7] != "refused"]
    out.text(f"descriptors: {found}\n")


def hang(out):
    out.text(str(os.getpid()))
    out._out.flush()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


def spill(out):
    while True:
        out.text("x" * 1000)
        out._left = 10_000_000


def spin():
    while True:
        pass


def stick(out):
    """Find something, and then compute for ever in one call."""
    out.text("found ")
    while time.process_time() < 0.4:
        pass
    out.text("and found")
    spin()


def eat():
    kept = []
    while True:
        kept.append(bytearray(1_000_000))


def gorge(out):
    """Find something, and then take all the memory there is."""
    out.text("found ")
    eat()


def raw(said):
    os.write(1, bytes(said))
    os._exit(0)


def thread(out):
    worker = threading.Thread(target=out.text, args=("from a thread",))
    worker.start()
    worker.join()


def echo(source, out):
    out.text(source.read().decode())
    out.remark("a remark\nof two lines")
    out.data(b"1")
    out.data(b"2" * 100_000)


def read(source, out, *, act, **options):
    """Do what the test asks for."""
    acts = {
        "escape": lambda: escape(out, **options),
        "hang": lambda: hang(out),
        "stray": lambda: out.text(f"{attempt(child)} {attempt(daemon)}"),
        "spin": spin,
        "stick": lambda: stick(out),
        "crash": lambda: ctypes.string_at(0),
        "exit": lambda: os._exit(options["status"]),
        "raw": lambda: raw(options["said"]),
        "spill": lambda: spill(out),
        "eat": eat,
        "gorge": lambda: gorge(out),
        "end": lambda: signal.raise_signal(options["by"]),
        "thread": lambda: thread(out),
        "echo": lambda: echo(source, out),
    }
    acts[act]()


def main():
    """Be the converter."""
    real = runpy.run_path(str(REAL), run_name="converter")
    real["_build_walls"]()
    from staging.llm._converter import bounds, sandbox, tasks

    module = types.ModuleType("staging.llm._converter.hostile")
    module.read = read
    sys.modules[module.__name__] = module
    tasks.TASKS["hostile"] = tasks.Task(module="hostile")
    lacking = json.loads(os.environ.get("LACKING", "[]"))
    if "seconds" in lacking:
        bounds.CPU_SECONDS = 1
    if "landlock" in lacking:
        sandbox._CREATE_RULESET = 0xFFFF  # a call that no kernel has
    if "seccomp" in lacking:
        sandbox.program = lambda machine, pid: b""
    if sys.argv[1] == "--serve":
        real["serve"](*sys.argv[2:])
    else:
        real["main"](*sys.argv[1:])


if __name__ == "__main__":
    main()
