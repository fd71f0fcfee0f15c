"""The suite's rules: every coroutine test runs on both loops, and no test leaves anything behind."""

import asyncio
import contextlib
import functools
import gc
import inspect
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import hypothesis
import pytest
import trio

from staging.llm import _process
from staging.llm._forks import ForkServer, server_of_loop

try:
    import uvloop
except ImportError:  # not on every system
    uvloop = None  # type: ignore[assignment]

hypothesis.settings.register_profile("default", deadline=None, max_examples=60)
hypothesis.settings.register_profile("gate", deadline=None, max_examples=200)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile(os.environ.get("STAGING_HYPOTHESIS", "default"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in its background so
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and every command tested here would inherit it
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # and so does nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

if sys.dont_write_bytecode:  # set in many containers: each of the hundreds of interpreters that are started here
    sys.dont_write_bytecode = False  # would compile what it imports anew, which doubles the suite's time
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


# asyncio's debug mode checks much, and notes the stack of each callback besides: that alone takes a fifth of the time
asyncio.format_helpers.extract_stack = lambda *_, **__: []  # type: ignore[attr-defined]


def _eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # from 3.12 on
    return loop


LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio", "backend_options": {"debug": True}},
    "eager": {"backend": "asyncio", "backend_options": {"loop_factory": _eager_loop}},
    "trio": {"backend": "trio"},
}
if sys.version_info < (3, 12):
    del LOOPS["eager"]  # eager tasks came with Python 3.12

ASYNCIO_LOOPS: dict[str, dict[str, Any]] = {name: loop for name, loop in LOOPS.items() if loop["backend"] == "asyncio"}
if uvloop is not None:
    ASYNCIO_LOOPS["uvloop"] = {"backend": "asyncio", "backend_options": {"loop_factory": uvloop.new_event_loop}}
    anyio.run(anyio.sleep, 0, **ASYNCIO_LOOPS["uvloop"])  # libuv opens a pipe for the process, once


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on every processor, if pytest-xdist is there; single files run as they are asked for."""
    if hasattr(config, "workerinput") or "PYTEST_XDIST_WORKER" in os.environ:
        return  # a worker has no workers of its own
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.collectonly
    if whole and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses = 2 + (os.cpu_count() or 1)  # two more, since some tests wait for time to pass
        config.option.dist = "worksteal"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage meanwhile: what is imported stays, and to look at it again and again takes a quarter."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each coroutine test on asyncio (debug), asyncio with eager tasks, and trio."""
    if inspect.iscoroutinefunction(metafunc.function) or "loop_name" in metafunc.fixturenames:
        if "loop_name" not in metafunc.fixturenames:
            metafunc.fixturenames.append("loop_name")
        metafunc.parametrize("loop_name", [*LOOPS])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    signature = inspect.signature(pyfuncitem.obj)
    arguments = {name: pyfuncitem.funcargs[name] for name in signature.parameters}
    run_on(pyfuncitem.callspec.params["loop_name"], functools.partial(pyfuncitem.obj, **arguments))
    return True


def run_on(loop_name: str, function: Callable[[], Awaitable[None]]) -> None:
    """Run `function` on the named loop; fail if it leaves a task behind or takes over 120 seconds."""

    async def watched() -> None:
        with anyio.fail_after(120):
            await function()
        await _settle()
        assert _other_tasks() == [], "the test left tasks behind"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "tracebacklimit", 0, raising=False)  # the same for futures; pytest shows its own tracebacks
        anyio.run(watched, **{**LOOPS, **ASYNCIO_LOOPS}[loop_name])


async def _settle() -> None:
    """Give callbacks that are already scheduled their turn; nothing here waits for time to pass."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()


def _other_tasks() -> list[str]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        root = trio.lowlevel.current_root_task()
        assert root is not None
        tasks = [task for nursery in root.child_nurseries for task in nursery.child_tasks]
        own = trio.lowlevel.current_task()
        return [
            task.name
            for task in tasks
            if task is not own and f"{os.sep}trio{os.sep}" not in task.coro.cr_code.co_filename
        ]
    return [repr(task) for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]


def _descriptors() -> dict[str, str]:
    found = {}
    for number in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():  # noqa: PTH112, PTH208
        with contextlib.suppress(OSError):
            found[number] = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
    return found


def _threads() -> set[threading.Thread]:
    # trio keeps idle worker threads for ten seconds and shares them between runs: they are its own
    return {thread for thread in threading.enumerate() if not thread.name.startswith(("Trio ", "trio"))}


def _temporary() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("staging-")}  # noqa: PTH208


@pytest.fixture(scope="session", autouse=True)
def own_temporary_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the suite and its processes have a temporary directory that nobody else uses while they look at it."""
    tmp_path_factory.getbasetemp()  # pytest's own stays where it is
    with tempfile.TemporaryDirectory(prefix="suite-") as place, pytest.MonkeyPatch.context() as patch:
        Path(place).chmod(0o1777)  # some tests run processes of another user
        patch.setenv("TMPDIR", place)
        for name in PROXIES:  # a failure's line would name it
            patch.delenv(name, raising=False)
        patch.setattr(tempfile, "tempdir", place)
        yield


@pytest.fixture(scope="session", autouse=True)
def authorities_are_read_once() -> Iterator[None]:
    """Let all clients of httpx share what they trust: to read it takes 40 ms, and most tests have a client."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def converter_server() -> Iterator[ForkServer]:
    """Keep one process for converters for the whole session."""
    server = ForkServer()
    with contextlib.ExitStack() as held:
        if _process.forks():
            server.start([*_process._python(), "--serve"], _process._environment())
            held.callback(server._close)
        yield server


@pytest.fixture
def shared_converters(converter_server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test use the session's process: for tests of what converters find, not of how they live and end.

    To load the libraries costs more than most conversions.
    """
    monkeypatch.setattr(converter_server, "_holders", 1)  # it outlives the calls
    monkeypatch.setattr(_process, "server_of_loop", lambda: converter_server)


@pytest.fixture
def own_converters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test start its own process, as an application does: where the others of its file share one."""
    monkeypatch.setattr(_process, "server_of_loop", server_of_loop)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a file, a thread, a socket or any other descriptor behind."""
    gc.collect()
    gc.freeze()  # what lives now is not looked at again: the collection below sees what the test made
    descriptors, threads, files = _descriptors(), _threads(), _temporary()
    yield
    gc.collect()
    for thread in _threads() - threads:
        thread.join(2)  # a worker that is told to stop needs a moment to do so
    assert _threads() <= threads, "the test left threads behind"
    left = {n: t for n, t in _descriptors().items() if descriptors.get(n) != t and "/proc" not in t}
    assert not left, f"the test left descriptors open: {left}"
    assert _temporary() <= files, "the test left workspaces in the system's temporary directory"
