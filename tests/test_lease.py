"""The lease: held while its owner lives, free when it is dead, and never about another directory than the one meant."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH116, PTH208
# (fault ids are written as in the table of faults; system calls are the subject)

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from staging._disk import lease as _lease
from staging._disk.lease import Lease


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "workspace"
    path.mkdir(0o700)
    return os.fspath(path)


def is_free(path):
    try:
        Lease(path).release()
    except BlockingIOError:
        return False
    return True


def run_python(code, *arguments, **options):
    """Run code in another process that takes one line of standard input as the sign to go on."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


HOLD = """
import os, sys
from staging._disk.lease import Lease
lease = Lease(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


def test_held_until_released(place):
    lease = Lease(place)
    assert lease.held
    assert not is_free(place)
    lease.release()
    lease.release()
    assert is_free(place)


def test_two_stages_of_one_process_are_strangers(place):
    """POSIX `lockf` would grant the second one."""
    first = Lease(place)
    with pytest.raises(BlockingIOError):
        Lease(place)
    first.release()


def test_nothing_in_the_directory_drops_it(place):
    """A body may delete, replace or truncate whatever it finds; there is no file of ours to find."""
    lease = Lease(place)
    assert os.listdir(place) == []
    os.chmod(place, 0)
    assert not is_free(place)
    lease.release()


def test_private_whatever_the_umask(tmp_path):
    for umask in (0, 0o022, 0o777):
        path = tmp_path / f"{umask:o}"
        before = os.umask(umask)
        try:
            path.mkdir(0o777)
            Lease(os.fspath(path)).release()
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_setgid_root_does_not_leak_into_the_mode(tmp_path):
    tmp_path.chmod(0o2775)
    (tmp_path / "w").mkdir(0o700)
    Lease(os.fspath(tmp_path / "w")).release()
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o700


def test_P02_the_kernel_frees_it_at_death(place):
    with run_python(HOLD, place) as owner:
        assert owner.stdout.readline() == "held\n"
        assert not is_free(place)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        assert is_free(place)


def test_P05_close_on_exec(place):
    """A child that the owner started, even one that gets all descriptors, does not keep a dead owner's lease."""
    starts_a_child = HOLD.replace(
        'print("held"',
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '60'], close_fds=False, stdin=-3, stdout=-3)\n"
        "print(child.pid, flush=True)\n"
        'print("held"',
    )
    with run_python(starts_a_child, place) as owner:
        child = int(owner.stdout.readline())
        assert owner.stdout.readline() == "held\n"
        try:
            os.kill(owner.pid, signal.SIGKILL)
            owner.wait()
            os.kill(child, 0)
            assert is_free(place)
        finally:
            os.kill(child, signal.SIGKILL)


def test_P04_forked_child_shares_it_and_cannot_take_it_away(place):
    """While the child lives the lease is held, whatever the child does with its copy: documented."""
    forks = """
import os, sys
from staging._disk.lease import Lease
lease = Lease(sys.argv[1])
child = os.fork()
if not child and sys.argv[2] == "releases":
    lease.release()
    os._exit(0)
if not child:
    sys.stdin.readline()
    os._exit(0)
if sys.argv[2] == "releases":
    os.waitpid(child, 0)
print(child, flush=True)
sys.stdin.readline()
"""
    with run_python(forks, place, "releases") as owner:
        assert owner.stdout.readline()
        assert not is_free(place)
        owner.kill()
        owner.wait()
        assert is_free(place)
    with run_python(forks, place, "outlives") as owner:
        child = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
        assert not is_free(place)
        os.kill(child, signal.SIGKILL)
        while not is_free(place):  # the child is not ours to wait for
            time.sleep(0.001)


def test_another_directory_at_the_path_is_not_ours(place, monkeypatch):
    """`flock` is granted on the directory that was there before: the comparison after it tells."""
    lock = _lease._lock

    def lock_too_late(descriptor):
        os.rename(place, place + ".old")
        os.mkdir(place)
        lock(descriptor)

    monkeypatch.setattr(_lease, "_lock", lock_too_late)
    with pytest.raises(FileNotFoundError):
        Lease(place)
    assert os.listdir(place) == []


def test_removed_before_the_lock_is_gone(place, monkeypatch):
    lock = _lease._lock

    def lock_too_late(descriptor):
        os.rmdir(place)
        lock(descriptor)

    monkeypatch.setattr(_lease, "_lock", lock_too_late)
    with pytest.raises(FileNotFoundError):
        Lease(place)


def test_no_symbolic_link_is_followed(place, tmp_path):
    (tmp_path / "link").symlink_to(place)
    os.chmod(place, 0o755)
    with pytest.raises(OSError):
        Lease(os.fspath(tmp_path / "link"))
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o755


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF])
def test_P07_without_locks_it_is_not_held_and_says_so(place, monkeypatch, code):
    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(_lease, "_lock", refuse)
    lease = Lease(place)
    assert not lease.held
    lease.release()


def test_other_errors_are_raised_and_leave_no_descriptor(place, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(_lease, "_lock", fail)
    with pytest.raises(OSError, match="broken"):
        Lease(place)


def test_where_directories_have_no_descriptors_a_file_is_locked(place, monkeypatch):
    """The road that Windows takes, walked here as far as Linux lets it."""
    monkeypatch.setattr(_lease, "BY_DESCRIPTOR", False)
    lease = Lease(place)
    assert lease.held
    assert lease.directory is None
    assert os.listdir(place) == [".lease"]
    assert not is_free(place)
    lease.release()
    assert is_free(place)
