"""The examples for more than one machine, run as processes: every message is answered, and nothing is left.

They need `distributed`, `taskiq`, `taskiq-redis` (dependency group `machines`) and Debian's `redis-server`; what is
missing is skipped with a message.
"""

import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
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


needs_dask = pytest.mark.skipif(bool(_missing("distributed")), reason="needs distributed: group `machines`")
needs_taskiq = pytest.mark.skipif(
    bool(_missing("taskiq", "taskiq_redis")) or shutil.which("redis-server") is None,
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
def example(name, *options):
    """Run an example; its answers are JSON lines on its standard output."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name), *map(str, options)],
            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
        )  # fmt: skip
        process.errors = lambda: (errors.seek(0), errors.read())[1]
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its workers too: the test has failed
            process.communicate(timeout=30)


def ended(process):
    """Return the answers that are still to come, once the example has ended well."""
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, process.errors()
    return [json.loads(line) for line in output.splitlines()]


def labels(answers):
    return {(answer["id"], answer.get("label") or answer.get("answer"), answer["notice"]) for answer in answers}


def expected(count):
    return {(str(number), "2 files, 102398 bytes", "") for number in range(count)}


def kill_at_work(pid, root):
    """SIGKILL a worker while both have stages open, and return how many workspaces the dead one left."""
    until = time.monotonic() + 60
    while len(list(root.iterdir())) <= CONCURRENCY:  # more than one worker can hold alone
        assert time.monotonic() < until, "the workers were never at work together"
        time.sleep(0.005)
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
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--messages", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--messages", __file__], "line 1 of the backlog is no message with id and attachments"),
        (["--scheduler", "nonsense://1"], "nonsense"),
    ],
)
def test_backfill_says_in_one_line_what_is_wrong(options, complaint):
    with example("dask_backfill.py", *options) as process:
        process.communicate(timeout=100)
        errors = process.errors()
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("dask_backfill: ")
    assert complaint in errors.splitlines()[-1]


@needs_taskiq
def test_taskiq_answers_every_message_on_two_processes_and_leaves_nothing(tmp_path):
    """One picture is refused three times: the library tries thrice, the message is sent again."""
    with redis() as url, example(
        "taskiq_worker.py", "--demo", "--redis", url, "--count", 60, "--think", 0.05, "--temp-dir", tmp_path
    ) as process:  # fmt: skip
        answers = ended(process)
    assert labels(answers) == expected(60)
    assert len(answers) == 60
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
def test_taskiq_says_in_one_line_that_there_is_no_redis(tmp_path):
    with example("taskiq_worker.py", "--demo", "--redis", f"unix://{tmp_path}/nobody") as process:
        process.communicate(timeout=60)
        errors = process.errors()
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert errors.startswith("taskiq_worker: no Redis: ")
