"""The examples for more than one machine, run as processes: every message is answered, and nothing is left.

They need `distributed`, `taskiq`, `taskiq-redis` (dependency group `machines`) and Debian's `redis-server`; what is
missing is skipped with a message, or with STAGING_MACHINES=required in the environment, an error: the gate sets that.
"""

import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from staging import sweep
from staging.testing import assert_empty

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CONCURRENCY = 8  # messages at once in one worker, the examples' default

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a death is awaited through a pidfd, which Linux has")


def _missing(*modules):
    # found, not imported: an import would start threads of its own in this process
    return [module for module in modules if importlib.util.find_spec(module) is None]


MISSING = _missing("distributed", "taskiq", "taskiq_redis")
SERVER = [] if shutil.which("redis-server") else ["redis-server"]
if os.environ.get("STAGING_MACHINES") == "required" and (MISSING or SERVER):
    raise RuntimeError(f"not installed: {', '.join(MISSING + SERVER)}")

needs_dask = pytest.mark.skipif("distributed" in MISSING, reason="needs distributed: group `machines`")
needs_taskiq = pytest.mark.skipif(
    bool({"taskiq", "taskiq_redis"} & {*MISSING} or SERVER),
    reason="needs taskiq and taskiq-redis (group `machines`), and redis-server (apt-get install redis-server)",
)


@contextmanager
def redis():
    """A server of its own on a socket in a folder of its own: no port to collide on, nothing on disk."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # a socket's path is at most 107 bytes
        socket = f"{folder}/socket"
        command = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert any("ready to accept connections" in line.lower() for line in server.stdout)
                yield f"unix://{socket}"
            finally:
                server.kill()


@contextmanager
def dask(*arguments, until):
    """Run one of Dask's own programs until the test is over, from the moment it has logged `until`."""
    with tempfile.NamedTemporaryFile("w+") as log, subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments], stderr=log, start_new_session=True
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while until not in (text := Path(log.name).read_text()):
                assert process.poll() is None and time.monotonic() < deadline, text
                time.sleep(0.05)
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def scheduler(folder):
    """Run a scheduler of its own on loopback, and yield its address."""
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", file]
    with dask("scheduler", *map(str, options), until="Scheduler at:"):
        while not (file.is_file() and (text := file.read_text()).endswith("}")):
            time.sleep(0.05)
        yield json.loads(text)["address"]


def worker(address):
    """Run a worker on loopback, as `dask worker` does it: with a nanny, which replaces a dead one."""
    options = ["--host", "127.0.0.1", "--nthreads", "8", "--dashboard-address", "127.0.0.1:0"]
    return dask("worker", address, *options, until="Registered to:")


def areas_known_to(address):
    """Return what the scheduler would give to a worker that comes now; one without this library could not start."""
    program = """if True:
        import sys
        from distributed import Client
        with Client(sys.argv[1]) as client:
            known = client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.worker_plugins])
            print(*(name for name in known if name.startswith("staging")))
    """
    done = subprocess.run([sys.executable, "-c", program, address], capture_output=True, text=True, check=True)
    return done.stdout.split()


@contextmanager
def example(name, *options):
    """Run an example; its answers are JSON lines on its standard output. No process of it lives on."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name), *map(str, options)],
            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
        )  # fmt: skip
        process.errors = lambda: (errors.seek(0), errors.read())[1]
        try:
            yield process
            process.communicate(timeout=100)
            gone(process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its workers too: the test has failed
            process.communicate(timeout=30)


def gone(group):
    """Wait until no process of the group is left: those that the example started end a moment after it."""
    until = time.monotonic() + 10
    with suppress(ProcessLookupError):
        while os.killpg(group, 0) is None:
            assert time.monotonic() < until, "the example left processes running"
            time.sleep(0.05)


def ended(process):
    """Return the answers that are still to come, once the example has ended well."""
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, process.errors()
    return [json.loads(line) for line in output.splitlines()]


def complaint(name, *options):
    """Return the exit code of an example that is used wrongly, and the one line that it prints."""
    with example(name, *options) as process:
        output, _ = process.communicate(timeout=60)
        errors = process.errors()
    (line,) = errors.splitlines()
    assert output == ""
    assert line.startswith(f"{name.removesuffix('.py')}: ")
    return process.returncode, line


def labels(answers):
    return {(answer["id"], answer.get("label") or answer.get("answer"), answer["notice"]) for answer in answers}


def expected(count):
    return {(str(number), "2 files, 102398 bytes", "") for number in range(count)}


def at_work(root):
    """Wait until two workers have stages open."""
    until = time.monotonic() + 60
    while len(list(root.iterdir())) <= CONCURRENCY + 2:  # more than one worker can hold alone
        assert time.monotonic() < until, "the workers were never at work together"
        time.sleep(0.005)


def kill_at_work(pid, root):
    """SIGKILL a worker while both have stages open, and return how many workspaces the dead one left."""
    at_work(root)
    watch = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(watch, signal.SIGKILL)
        select.select([watch], [], [], 10)
    finally:
        os.close(watch)
    return sweep(root)


@needs_dask
def test_backfill_labels_every_message_on_two_processes_and_leaves_nothing(tmp_path):
    """One picture is refused three times: the library tries thrice, the task's next run gets it."""
    with example("dask_backfill.py", "--count", 60, "--think", 0.05, "--temp-dir", tmp_path) as process:
        answers = ended(process)
    assert labels(answers) == expected(60)
    assert len(answers) == 60
    assert len({answer["worker"] for answer in answers}) == 2
    assert_empty(tmp_path)


@needs_dask
def test_backfill_loses_no_message_to_a_killed_worker_and_the_next_sweep_takes_its_files(tmp_path):
    with example("dask_backfill.py", "--count", 100, "--think", 0.5, "--temp-dir", tmp_path) as process:
        first = json.loads(process.stdout.readline())
        assert kill_at_work(first["worker"], tmp_path) > 0
        answers = [first, *ended(process)]
    assert labels(answers) == expected(100)
    assert len(answers) == 100
    assert_empty(tmp_path)


@needs_dask
def test_backfill_reads_a_backlog_and_says_what_could_not_be_used(tmp_path):
    backlog, root = tmp_path / "backlog.jsonl", tmp_path / "root"
    message = {"id": 7, "attachments": [{"url": "https://example.com/a.png", "filename": "a.png"}]}
    backlog.write_text(json.dumps(message) + "\n")
    with example("dask_backfill.py", "--messages", backlog, "--workers", 1, "--temp-dir", root) as process:
        (answer,) = ended(process)
    assert (answer["id"], answer["label"]) == ("7", "0 files, 0 bytes")
    assert "1 of 1 attachment" in answer["notice"]
    assert_empty(root)


@needs_dask
def test_backfill_runs_on_a_scheduler_and_two_workers_that_are_there_already(tmp_path):
    """And again: the first run's area is gone from the workers and the scheduler with it."""
    root = tmp_path / "root"
    with scheduler(tmp_path) as address, worker(address), worker(address):
        for _ in range(2):
            with example(
                "dask_backfill.py", "--scheduler", address, "--count", 60, "--think", 0.05, "--temp-dir", root
            ) as process:  # fmt: skip
                answers = ended(process)
            assert labels(answers) == expected(60)
            assert len(answers) == 60
            assert len({answer["worker"] for answer in answers}) == 2
            assert areas_known_to(address) == []
            assert_empty(root)


@needs_dask
def test_backfill_loses_no_message_to_a_machine_that_is_lost_for_good(tmp_path):
    """The one that is left does the work of both, and a sweep takes what the lost one had staged."""
    root = tmp_path / "root"
    root.mkdir()
    with scheduler(tmp_path) as address, worker(address), worker(address) as lost, example(
        "dask_backfill.py", "--scheduler", address, "--count", 60, "--think", 0.5, "--temp-dir", root
    ) as process:  # fmt: skip
        at_work(root)
        os.killpg(lost, signal.SIGKILL)
        answers = ended(process)
        assert sweep(root) > 0
        assert labels(answers) == expected(60)
        assert len(answers) == 60
        assert_empty(root)


@needs_dask
@pytest.mark.parametrize(
    ("options", "code", "advice"),
    [
        (["--bogus"], 2, "unrecognized arguments: --bogus (--help lists the options)"),
        (["--count", "many"], 2, "--count: 'many' is no whole number from 1"),
        (["--workers", "0"], 2, "--workers: '0' is no whole number from 1"),
        (["--concurrency", "-1"], 2, "--concurrency: '-1' is no whole number from 1"),
        (["--think", "nan"], 2, "--think: 'nan' is no number of seconds"),
        (["--messages", "nowhere.jsonl"], 1, "nowhere.jsonl"),
        (["--messages", __file__, "--workers", "1"], 1, "line 1 of the backlog is no message with id and attachments"),
        (["--messages", os.devnull, "--allow-host", "http://x/"], 1, "without scheme or port, not 'http://x/'"),
        (["--temp-dir", os.devnull], 1, "temp_dir: /dev/null is not a directory"),
        (["--scheduler", "nonsense://1"], 1, "no scheduler at nonsense://1: start one with `dask scheduler`"),
        (["--scheduler", "127.0.0.1", "--wait", "1"], 1, "missing port number in address '127.0.0.1'"),
        (["--scheduler", "tcp://127.0.0.1:1", "--wait", "1"], 1, "start one with `dask scheduler`"),
    ],
)
def test_backfill_says_in_one_line_what_is_wrong(options, code, advice):
    returned, line = complaint("dask_backfill.py", *options)
    assert returned == code
    assert advice in line


@needs_dask
def test_backfill_says_in_one_line_that_something_else_listens_there():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        code, line = complaint("dask_backfill.py", "--scheduler", address, "--wait", 1)
    assert code == 1
    assert "nothing there answered as Dask does within 1 s" in line


@needs_dask
def test_backfill_says_in_one_line_what_is_wrong_with_the_workers(tmp_path):
    """There is none; or it cannot stage there, of which nothing is left on the scheduler."""
    with scheduler(tmp_path) as address:
        code, line = complaint("dask_backfill.py", "--scheduler", address, "--wait", 1)
        assert code == 1
        assert (
            f"the scheduler has no worker: start one, where this library is installed, with `dask worker {address}`"
            in line
        )
        with worker(address):
            code, line = complaint("dask_backfill.py", "--scheduler", address, "--temp-dir", os.devnull)
        assert code == 1
        assert "a worker cannot stage: it needs this library, and a --temp-dir that it can write" in line
        assert areas_known_to(address) == []


@needs_taskiq
def test_taskiq_answers_every_message_on_two_processes_and_leaves_nothing(tmp_path):
    """One picture is refused three times: the library tries thrice, the message is sent again.

    And the workers stop when they are told to, not with the next message that they read or reclaim.
    """
    with redis() as url, example(
        "taskiq_worker.py", "--demo", "--redis", url, "--count", 120, "--think", 0.2, "--reclaim", 300,
        "--temp-dir", tmp_path,
    ) as process:  # fmt: skip
        answers = ended(process)
    assert labels(answers) == expected(120)
    assert len(answers) == 120
    assert len({answer["worker"] for answer in answers}) == 2
    assert_empty(tmp_path)


@needs_taskiq
def test_taskiq_loses_no_message_to_a_killed_worker_and_the_next_sweep_takes_its_files(tmp_path):
    """All others are answered before the dead worker's are reclaimed: no later message brings them along."""
    with redis() as url, example(
        "taskiq_worker.py", "--demo", "--redis", url, "--count", 60, "--think", 0.5, "--reclaim", 6,
        "--temp-dir", tmp_path,
    ) as process:  # fmt: skip
        first = json.loads(process.stdout.readline())
        assert kill_at_work(first["worker"], tmp_path) > 0
        answers = [first, *ended(process)]
    assert labels(answers) == expected(60)
    assert len(answers) == 60
    assert_empty(tmp_path)


@needs_taskiq
@pytest.mark.parametrize(
    ("options", "code", "advice"),
    [
        ([], 2, "the following arguments are required: --demo (--help lists the options)"),
        (["--demo", "--bogus"], 2, "unrecognized arguments: --bogus"),
        (["--demo", "--count", "many"], 2, "--count: 'many' is no whole number from 1"),
        (["--demo", "--workers", "0"], 2, "--workers: '0' is no whole number from 1"),
        (["--demo", "--reclaim", "inf"], 2, "--reclaim: 'inf' is no number of seconds"),
        (["--demo", "--reclaim", "0"], 2, "--reclaim: below a second"),
        (["--demo", "--temp-dir", os.devnull], 1, "temp_dir: /dev/null is not a directory"),
        (["--demo", "--redis", "http://127.0.0.1"], 1, "must specify one of the following schemes (redis://"),
        (["--demo", "--redis", "unix:///nowhere/at/all"], 1, "no Redis: start `redis-server`, or name one that runs"),
        (["--demo", "--redis", "redis://:secret@127.0.0.1:1"], 1, "no Redis: start `redis-server`"),
    ],
)
def test_taskiq_says_in_one_line_what_is_wrong(options, code, advice):
    returned, line = complaint("taskiq_worker.py", *options)
    assert returned == code
    assert advice in line
    assert "secret" not in line
