"""The sweep: every orphan goes, whatever killed its owner; nothing alive and nothing of anybody else is touched."""

# ruff: noqa: PTH104, PTH112, PTH208
# (fault ids are written as in the table of faults; system calls are the subject)

import contextlib
import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from staging._disk import lease as lease_module
from staging._disk import removal as removal_module
from staging._disk.lease import Lease
from staging._disk.part import PartFile
from staging._disk.removal import Removal
from staging._disk.root import new_name
from staging._disk.sweep import sweep
from staging._disk.workspace import Workspace
from staging._errors import WorkspaceError


@pytest.fixture
def root():
    """A root in memory, if there is one, so that storms blow hard."""
    path = Path(tempfile.mkdtemp(prefix="sweep-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12: idle threads of other tests
def fork(function):
    child = os.fork()
    if child:
        return child
    try:
        function()
    except BaseException as error:  # noqa: BLE001  # the child must not go on with the parent's tests
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)


def end_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def orphan(root, *, extra=False):
    """Leave behind what a killed process leaves behind."""
    workspace = Workspace.create(root)
    part = PartFile(workspace)
    part.append(b"half")
    if extra:
        (workspace.directory / "deep" / "er").mkdir(parents=True)
        (workspace.directory / "deep" / "er" / "file").touch()
    part._fd = os.close(part._fd) or -1
    workspace.let_go()
    return workspace.directory


def stranger(root, name):
    path = root / name
    path.mkdir(0o700)
    (path / "precious").touch()
    return path


# ── what goes and what stays ─────────────────────────────────────────────────────────────────────────────────────────


def test_orphans_go_and_are_counted(root):
    orphan(root)
    orphan(root, extra=True)
    assert sweep(root) == 2
    assert sweep(str(root)) == 0
    assert os.listdir(root) == []


def test_the_living_stay(root):
    alive = Workspace.create(root)
    orphan(root)
    assert sweep(root) == 1
    assert os.listdir(root) == [alive.directory.name]
    part = PartFile(alive)
    part.append(b"x")
    part.commit("a")
    assert alive.remove() == Removal(1, ())


def test_P03_half_made_or_half_removed(root):
    """Whatever a kill left inside: the name tells that it is ours, the lease that nobody lives in it."""
    empty, full, closed = (root / new_name() for _ in range(3))
    for path in (empty, full, closed):
        path.mkdir(0o700)
    (full / ".lease").touch()
    (full / ".1.part").touch()
    closed.chmod(0)
    assert sweep(root) == 3
    assert os.listdir(root) == []


def test_names_that_were_not_given_by_us_do_not_pass(root):
    """One character more, less or other than in a name of ours: the check sum does not hold."""
    ours = new_name()
    others = {ours[:n] + letter + ours[n + 1 :] for n in range(8, 24) for letter in "abz27"} - {ours}
    others |= {ours[:-1], ours + "a", ours.upper(), ours.replace("staging", "Staging"), ours + ".bak", "x" + ours}
    for name in others:
        (root / name).mkdir()
    assert sweep(root) == 0
    assert set(os.listdir(root)) == others


@pytest.mark.parametrize(
    "name",
    [
        "staging-",
        "staging-x1",
        "staging-aaaaaaaaaaaaaaa",
        "staging-aaaaaaaaaaaaaaaaa",
        "staging-AAAAAAAAAAAAAAAA",
        "staging-1111111111111111",
        "staging-aaaaaaaaaaaaaaaa\n",
        "staging-aaaaaaaaaaaaaaaa.bak",
        "staging-ａａａａａａａａａａａａａａａａ",
        "xstaging-aaaaaaaaaaaaaaaa",
        "staging_aaaaaaaaaaaaaaaa",
        "tmpabcdefgh",
    ],
)
def test_other_names_are_not_ours(root, name):
    path = stranger(root, name)
    path.chmod(0o555)
    (root / (name + "-empty")).mkdir()
    assert sweep(root) == 0
    assert os.listdir(path) == ["precious"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o555


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory away takes root")
def test_another_users_workspace_is_theirs_to_sweep(root):
    path = orphan(root)
    os.chown(path, 65534, 65534)
    assert sweep(root) == 0
    assert path.is_dir()


def test_no_symbolic_link_and_no_file_is_taken_for_a_workspace(root, tmp_path):
    victim = stranger(tmp_path, new_name())
    (root / new_name()).symlink_to(victim)
    (root / new_name()).touch()
    os.mkfifo(root / new_name())
    assert sweep(root) == 0
    assert len(os.listdir(root)) == 3
    assert os.listdir(victim) == ["precious"]


def test_only_direct_children(root):
    below = root / "below"
    below.mkdir()
    path = orphan(below)
    assert sweep(root) == 0
    assert path.is_dir()
    assert sweep(below) == 1


def test_F07_an_orphan_swapped_for_a_link_before_it_is_opened(root, tmp_path, monkeypatch):
    path = orphan(root)
    victim = stranger(tmp_path, new_name())
    real = lease_module.open_directory

    def swap_and_open(place, above=None):
        os.rename(place, root / "moved")
        Path(place).symlink_to(victim)
        return real(place, above)

    monkeypatch.setattr(lease_module, "open_directory", swap_and_open)
    assert sweep(root) == 0
    assert path.is_symlink()
    assert os.listdir(victim) == ["precious"]


def test_no_root_has_no_orphans(tmp_path):
    assert sweep(tmp_path / "missing") == 0
    assert not (tmp_path / "missing").exists()


def test_a_root_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=r"cannot sweep .*file: not a directory") as caught:
        sweep(tmp_path / "file")
    assert caught.value.errno == errno.ENOTDIR


def test_P07_where_nothing_can_be_locked_nothing_is_swept(root, monkeypatch):
    """NFS refuses locks on directories; some FUSE file systems refuse them all."""
    path = orphan(root)

    def refuse(descriptor):
        raise OSError(errno.ENOLCK, "no locks available")

    with monkeypatch.context() as patch:
        patch.setattr(lease_module, "_lock", refuse)
        unleased = Workspace.create(root)
        assert sweep(root) == 0
        assert unleased.remove() == Removal(0, ())
    assert os.listdir(root) == [path.name]
    assert sweep(root) == 1


def test_P07_process_numbers_decide_nothing(root):
    """Whoever has the dead owner's number now, the orphan is one; nothing in a workspace names a process."""
    path = orphan(root)
    (path / "pid").write_text(str(os.getpid()))
    assert sweep(root) == 1


@pytest.mark.parametrize("shift", [-(10**9), -86_400, 0, 86_400, 10**9])
def test_P08_age_decides_nothing(root, monkeypatch, shift):
    """Neither a workspace's time nor the clock's: the living stay and the dead go, in 1995 and in 2058."""
    alive, dead = Workspace.create(root), orphan(root)
    when = time.time() + shift
    for path in (alive.directory, dead):
        os.utime(path, (when, when))
    monkeypatch.setattr(time, "time", lambda: when - shift / 2)
    assert sweep(root) == 1
    assert os.listdir(root) == [alive.directory.name]
    alive.remove()


def test_P09_the_owner_left_by_os_exit(root):
    assert end_of(fork(lambda: Workspace.create(root))) == 0
    assert sweep(root) == 1
    assert os.listdir(root) == []


def test_P04_while_a_forked_child_lives_its_dead_parents_orphan_waits(root):
    """The child shares the lease, and may be using the files: documented."""
    told, tell = os.pipe()
    known, know = os.pipe()

    def parent():
        Workspace.create(root)
        if not os.fork():
            os.read(told, 1)
            os._exit(0)
        os.write(know, b"x")

    assert end_of(fork(parent)) == 0
    assert os.read(known, 1) == b"x"
    assert sweep(root) == 0
    os.write(tell, b"x")
    for descriptor in (told, tell, known, know):
        os.close(descriptor)
    give_up = time.monotonic() + 30
    while not sweep(root):  # the grandchild is not ours to wait for
        assert time.monotonic() < give_up
        time.sleep(0.001)
    assert os.listdir(root) == []


# ── races ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_sweeps_at_once_count_each_orphan_once(root):
    for _ in range(10):
        for _ in range(20):
            orphan(root, extra=True)
        counts, start = [], threading.Barrier(4)

        def one(counts=counts, start=start):
            start.wait()
            counts.append(sweep(root))

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(counts) == 20
        assert os.listdir(root) == []


def test_a_sweep_between_the_making_and_the_lease(root, monkeypatch):
    """After every step of making one, a sweep runs: the workspace that `create` returns is never harmed."""
    for function in ("mkdir", "open", "fstat", "lstat", "close"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, sweep_once_after(getattr(os, function), root))
            workspace = Workspace.create(root)
        assert workspace.directory.is_dir()
        assert sweep(root) == 0
        workspace.remove()
    assert os.listdir(root) == []


def sweep_once_after(real, root):
    swept = []

    def function(*args, **kwargs):
        result = real(*args, **kwargs)
        if not swept:
            swept.append(True)
            sweep(root)
        return result

    return function


def test_P06_fifty_processes_start_work_sweep_and_end_on_one_root(root):
    """Real processes: none finds its workspace harmed, and nothing is left when all are gone."""

    def live():
        for n in range(8):
            workspace = Workspace.create(root)
            part = PartFile(workspace)
            part.append(b"%d" % n)
            path = part.commit("a")
            sweep(root)
            assert path.read_bytes() == b"%d" % n
            assert os.listdir(workspace.directory) == ["a"]
            assert workspace.remove() == Removal(1, ())

    children = [fork(live) for _ in range(50)]
    assert [end_of(child) for child in children] == [0] * 50
    assert os.listdir(root) == []


def test_P02_killed_at_sixty_random_instants(root):
    """SIGKILL, at any call from the first to the last: each sweep takes all that is left, and spares the living."""
    alive = Workspace.create(root)
    part = PartFile(alive)
    part.append(b"alive")
    path = part.commit("a")
    chance = random.Random(20261123)
    left = 0

    def live_and_die():
        while True:
            workspace = Workspace.create(root)
            for n in range(3):
                part = PartFile(workspace, min_free=1)
                part.append(b"x" * 10_000)
                part.append(b"x" * 10_000)
                part.commit(f"file {n}")
            (workspace.directory / "body" / "below").mkdir(parents=True)
            (workspace.directory / "body" / "below" / "extra").touch()
            workspace.remove()
            sweep(root)

    for _ in range(60):
        child = fork(live_and_die)
        time.sleep(chance.random() * 0.02)  # an instant, not synchronisation: any will do
        os.kill(child, signal.SIGKILL)
        assert end_of(child) == -signal.SIGKILL
        left += sweep(root)
        assert os.listdir(root) == [alive.directory.name]
        assert path.read_bytes() == b"alive"
    assert left > 10, "the kills hit nothing: that was no test"
    assert alive.remove() == Removal(1, ())


def test_P02_P06_kills_in_the_middle_of_a_storm(root):
    """Twenty processes make, remove and sweep; half of them are killed meanwhile. One sweep later nothing is left."""

    def live():
        for _ in range(30):
            workspace = Workspace.create(root)
            part = PartFile(workspace)
            part.append(b"x")
            path = part.commit("a")
            sweep(root)
            assert path.read_bytes() == b"x"
            assert workspace.remove() == Removal(1, ())

    chance = random.Random(42)
    children = [fork(live) for _ in range(20)]
    for victim in children[::2]:
        time.sleep(chance.random() * 0.01)  # an instant, not synchronisation
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    ends = [end_of(child) for child in children]
    assert set(ends[1::2]) == {0}
    assert set(ends[::2]) <= {0, -signal.SIGKILL}
    sweep(root)
    assert os.listdir(root) == []


def test_P02_a_killed_sweep_is_finished_by_the_next(root):
    chance = random.Random(7)
    for _ in range(20):
        for _ in range(3):
            orphan(root, extra=True)
        child = fork(lambda: sweep(root))
        time.sleep(chance.random() * 0.003)  # an instant, not synchronisation
        os.kill(child, signal.SIGKILL)
        end_of(child)
        sweep(root)
        assert os.listdir(root) == []


def test_P02_killed_between_every_two_system_calls_of_making_and_removing(root):
    """Every instant that there is, one after the other: the child kills itself at its n-th call."""
    functions = ["mkdir", "open", "fstat", "lstat", "close", "link", "unlink", "rmdir", "scandir", "rename", "write"]

    def live(n):
        count = [0]

        def deadly(real):
            def call(*args, **kwargs):
                count[0] += 1
                if count[0] == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in functions:
            setattr(os, name, deadly(getattr(os, name)))
        workspace = Workspace.create(root)
        part = PartFile(workspace)
        part.append(b"x")
        part.commit("a")
        part = PartFile(workspace)
        part.append(b"y")
        (workspace.directory / "body" / "below").mkdir(parents=True)
        (workspace.directory / "body" / "below" / "extra").touch()
        workspace.remove()

    n, ends = 0, []
    while 0 not in ends:
        n += 1
        ends.append(end_of(fork(lambda n=n: live(n))))
        sweep(root)
        assert os.listdir(root) == [], f"left by a kill at call {n}"
    assert ends == [-signal.SIGKILL] * (n - 1) + [0]
    assert n > 30


def test_processes_that_share_nothing(root):
    """The same with an interpreter of its own, killed while it holds a workspace."""
    code = (
        "import sys, pathlib\nfrom staging._disk.workspace import Workspace\n"
        "workspace = Workspace.create(pathlib.Path(sys.argv[1]))\nprint('made', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout.readline() == "made\n"
        assert sweep(root) == 0
        owner.kill()
        owner.wait()
        assert sweep(root) == 1


def test_a_sweep_that_cannot_remove_does_not_count(root, monkeypatch):
    path = orphan(root)
    with monkeypatch.context() as patch:
        patch.setattr(removal_module, "_remove_empty", lambda *args: OSError("stubborn"))
        assert sweep(root) == 0
    assert Lease(os.fspath(path)).release() is None
    assert sweep(root) == 1
