"""The end of a workspace: nothing a thread has made is lost, and the lease is free whatever still runs."""

# ruff: noqa: PTH208
# (system calls are the subject)

import contextlib
import errno
import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

from staging._disk import lease as lease_module
from staging._disk import moving as moving_module
from staging._disk import part as part_module
from staging._disk import removal as removal_module
from staging._disk import sweep as sweep_module
from staging._disk import workspace as workspace_module
from staging._disk.lease import Lease
from staging._disk.part import PartFile
from staging._disk.removal import Removal
from staging._disk.root import new_name
from staging._disk.sweep import sweep, sweep_until
from staging._disk.workspace import Workspace
from staging._errors import WorkspaceError


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir(0o700)
    return path


class Hang:
    """Lets the next call of an `os` function hang, before or after it is done, until it is told to go on."""

    def __init__(self, monkeypatch, function, *, after=False):
        self.inside, self.go = threading.Event(), threading.Event()
        real = getattr(os, function)

        def slow(*args, **kwargs):
            monkeypatch.setattr(os, function, real)
            result = real(*args, **kwargs) if after else None
            self.inside.set()
            assert self.go.wait(30)
            return result if after else real(*args, **kwargs)

        monkeypatch.setattr(os, function, slow)


@contextlib.contextmanager
def in_thread(function, *args):
    """Run it beside the block; what it raises is dropped."""

    def run():
        with contextlib.suppress(OSError):
            function(*args)

    thread = threading.Thread(target=run, daemon=True)  # one that hangs fails its test, and no more
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()


def write_and_name(part):
    part.append(b"late")
    part.commit("late")


def is_free(path):
    try:
        Lease(os.fspath(path)).release()
    except BlockingIOError:
        return False
    return True


# ── what is made is owned ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_workspace_is_owned_in_the_thread_that_makes_it(root):
    """A cancelled task never sees what its thread returns."""
    held = []

    def own(workspace):
        assert not is_free(workspace.directory)
        held.append((workspace, threading.get_ident()))

    made = Workspace.create(root, own)
    assert held == [(made, threading.get_ident())]
    made.remove()


@pytest.mark.parametrize("error", [RuntimeError("ended"), KeyboardInterrupt(), SystemExit()])
def test_a_workspace_that_its_owner_does_not_want_is_gone_at_once(root, error):
    def refuse(workspace):
        raise error

    with pytest.raises(type(error)):
        Workspace.create(root, refuse)
    assert os.listdir(root) == []


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), OSError(errno.EMFILE, "none left")])
@pytest.mark.parametrize("function", ["open_directory", "_lock", "is_at", "own_mode"])
def test_nothing_is_left_between_the_directory_and_its_lease(root, monkeypatch, function, error):
    def fail(*args):
        raise error

    monkeypatch.setattr(lease_module, function, fail)
    with pytest.raises(WorkspaceError if isinstance(error, OSError) else type(error)):
        Workspace.create(root)
    assert os.listdir(root) == []


# ── removal does not wait for workers ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("function", ["open", "write", "close", "link", "unlink"])
def test_N06_a_worker_that_hangs_holds_up_neither_removal_nor_lease(root, monkeypatch, function, after):
    workspace = Workspace.create(root)
    (workspace.directory / "of the body").touch()
    hang = Hang(monkeypatch, function, after=after)
    with in_thread(write_and_name, PartFile(workspace)):
        assert hang.inside.wait(30)
        assert workspace.remove().leftovers == ()
        assert os.listdir(root) == []
        os.fstat(workspace.descriptor)  # the worker's own calls still mean this directory
        hang.go.set()
    assert os.listdir(root) == []
    with pytest.raises(OSError):
        os.fstat(workspace.descriptor)


@pytest.mark.parametrize("function", ["open", "write", "link"])
def test_N06_what_could_not_be_removed_is_the_next_sweeps_while_a_worker_hangs(root, monkeypatch, function):
    """Seen: the lease stayed with the worker, so no sweep of this process took what was left."""
    workspace = Workspace.create(root)
    (workspace.directory / "stubborn").touch()
    real, stubborn = os.unlink, [True]

    def unlink(name, **place):
        if name == "stubborn" and stubborn[0]:
            raise OSError(errno.EIO, "broken")
        real(name, **place)

    monkeypatch.setattr(os, "unlink", unlink)
    hang = Hang(monkeypatch, function)
    with in_thread(write_and_name, PartFile(workspace)):
        assert hang.inside.wait(30)
        assert [name for name, _ in workspace.remove().leftovers] == ["stubborn"]
        assert is_free(workspace.directory)
        stubborn[0] = False
        assert sweep(root) == 1
        hang.go.set()
    assert os.listdir(root) == []


@pytest.mark.parametrize("function", ["open", "write", "link"])
def test_N06_a_late_worker_removes_what_it_made_after_the_removal(root, monkeypatch, function):
    """The directory is still there, since something in it did not go; the worker's file is not added to it."""
    workspace = Workspace.create(root)
    (workspace.directory / "stubborn").touch()
    real = os.unlink

    def unlink(name, **place):
        if name == "stubborn":
            raise OSError(errno.EIO, "broken")
        real(name, **place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        hang = Hang(patch, function)
        with in_thread(write_and_name, PartFile(workspace)):
            assert hang.inside.wait(30)
            workspace.remove()
            hang.go.set()
        assert os.listdir(workspace.directory) == ["stubborn"]
    assert sweep(root) == 1


def test_a_forked_child_that_lives_on_does_not_keep_the_lease_of_what_was_left(root, monkeypatch):
    """The owner unlocks; closing alone would leave the lock to the child's copy."""
    workspace = Workspace.create(root)
    (workspace.directory / "stubborn").touch()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[workspace.descriptor]):
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", broken)
            assert workspace.remove().leftovers
        assert sweep(root) == 1


def broken(*args, **kwargs):
    raise OSError(errno.EIO, "broken")


@pytest.mark.parametrize("began", [False, True])
def test_N06_a_removal_that_hangs_or_never_begins_keeps_no_lease(root, monkeypatch, began):
    workspace = Workspace.create(root)
    PartFile(workspace).commit("a")
    descriptor = workspace.descriptor
    hang = Hang(monkeypatch, "unlink")
    with in_thread(workspace.remove) if began else contextlib.nullcontext():
        assert not began or hang.inside.wait(30)
        workspace.let_go()
        workspace.let_go()
        assert is_free(workspace.directory)
        with pytest.raises(WorkspaceError, match="over"):
            PartFile(workspace).append(b"x")
        hang.go.set()
    with pytest.raises(OSError):
        os.fstat(descriptor)
    assert sweep(root) == (not began)
    assert os.listdir(root) == []


def test_N06_a_removal_that_comes_too_late_does_what_the_next_sweep_would(root):
    workspace = Workspace.create(root)
    PartFile(workspace).commit("a")
    workspace.let_go()
    assert workspace.remove() == Removal(0, ())
    assert os.listdir(root) == []


def test_let_go_after_the_removal_frees_no_other_workspaces_lease(root):
    """Its descriptor's number belongs to another workspace by then."""
    first = Workspace.create(root)
    number = first.descriptor
    first.remove()
    second = Workspace.create(root)
    assert second.descriptor == number
    first.let_go()
    first._lease.let_go()
    assert not is_free(second.directory)
    second.remove()


def test_F07_a_directory_below_swapped_for_a_link_before_it_is_opened(root, tmp_path, monkeypatch):
    """Another process of the same user is at it meanwhile."""
    victim = tmp_path / "victim"
    (victim / "precious").mkdir(parents=True)
    workspace = Workspace.create(root)
    (workspace.directory / "below" / "deeper").mkdir(parents=True)
    real = removal_module.open_directory

    def swap_and_open(name, above):
        os.rename(name, "moved", src_dir_fd=above, dst_dir_fd=above)
        os.symlink(victim, name, dir_fd=above)
        monkeypatch.setattr(removal_module, "open_directory", real)
        return real(name, above)

    monkeypatch.setattr(removal_module, "open_directory", swap_and_open)
    assert workspace.remove().leftovers == (("below", "not a directory"),)
    assert os.listdir(victim) == ["precious"]
    assert sweep(root) == 1


# ── forgotten ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Forgetful:
    """Has a workspace, as a stage has."""

    def __init__(self, root):
        self.workspace = Workspace.create(root)
        weakref.finalize(self, self.workspace.remove)


def test_N08_a_finalizer_may_remove_it(root):
    """No circle keeps it alive: it goes at once, not when the garbage is collected next."""
    gc.disable()
    try:
        forgotten = Forgetful(root)
        part = PartFile(forgotten.workspace)
        part.commit("a")
        del forgotten, part
        assert os.listdir(root) == []
    finally:
        gc.enable()


def test_N08_a_finalizer_that_runs_in_the_middle_of_a_worker_does_not_wait_for_itself(root):
    """A collection may begin while this very thread has the lock."""
    workspace = Workspace.create(root)
    with in_thread(lambda: remove_locked(workspace)):
        pass
    assert os.listdir(root) == []


def remove_locked(workspace):
    with workspace.lock:
        workspace.remove()


def test_N08_at_the_interpreters_end_and_not_in_a_forked_child(root):
    code = (
        "import os, sys, weakref, pathlib\nfrom staging._disk.workspace import Workspace\n"
        "class Stage: pass\nstage = Stage()\nworkspace = Workspace.create(pathlib.Path(sys.argv[1]))\n"
        "weakref.finalize(stage, workspace.remove)\n"
        "if not os.fork(): sys.exit()\n"
        "os.wait(); print(workspace.directory.is_dir())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"
    assert os.listdir(root) == []


# ── keeping ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def workspace(root):
    made = Workspace.create(root)
    yield made
    made.remove()


@pytest.fixture(params=["nameless", "hidden"])
def other_disk(request, monkeypatch):
    """The destination is on another file system, as far as links can tell: one with nameless files, and one without."""
    real = os.link

    def link(source, target, **place):
        inside = place.get("dst_dir_fd") is not None or os.fspath(source).startswith("/proc/")
        if place.get("src_dir_fd") is not None and not inside:
            raise OSError(errno.EXDEV, "other file system")
        real(source, target, **place)

    monkeypatch.setattr(os, "link", link)
    if request.param == "hidden":
        monkeypatch.delattr(os, "O_TMPFILE")


def staged(workspace, content=b"content"):
    part = PartFile(workspace)
    part.append(content)
    return part.commit("a.txt")


def test_N07_keep_tells_its_holder_in_the_thread(workspace, tmp_path):
    kept = []
    path = workspace.keep(staged(workspace), tmp_path, lambda path: kept.append((path, path.read_bytes())))
    assert kept == [(path, b"content")]


def test_N07_what_was_not_kept_is_not_told(workspace, tmp_path):
    (tmp_path / "a.txt").touch()
    kept = []
    with pytest.raises(FileExistsError):
        workspace.keep(staged(workspace), tmp_path, kept.append)
    assert kept == []


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_N07_a_copy_that_is_given_up_leaves_nothing_and_stays_staged(
    workspace, tmp_path, other_disk, monkeypatch, pieces
):
    monkeypatch.setattr(moving_module, "_PIECE_BYTES", 10)
    left, kept = [pieces], []

    def stop():
        left[0] -= 1
        return left[0] < 0

    path = staged(workspace, b"x" * 100)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(WorkspaceError, match="the copy was given up"):
        workspace.keep(path, tmp_path / "kept", kept.append, stop=stop)
    assert sorted(os.listdir(tmp_path)) == before
    assert path.read_bytes() == b"x" * 100
    assert kept == []


def test_N07_a_copy_has_no_name_until_it_is_complete(workspace, tmp_path, other_disk, monkeypatch):
    monkeypatch.setattr(moving_module, "_PIECE_BYTES", 10)
    seen = set()

    def look():
        seen.update(name for name in os.listdir(tmp_path) if not name.startswith(".") and name != "root")
        return False

    path = staged(workspace, b"x" * 100)
    path.chmod(0o640)
    assert workspace.keep(path, tmp_path / "kept", stop=look).read_bytes() == b"x" * 100
    assert seen == set()
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o640
    assert not path.exists()
    assert sorted(os.listdir(tmp_path)) == ["kept", "root"]


def test_a_copy_that_is_given_up_while_the_disk_writes_it_leaves_nothing(workspace, tmp_path, other_disk, monkeypatch):
    """A stage that ends meanwhile says that the file is not kept, so it must not be there."""
    written, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: written.append(real(descriptor)))
    path = staged(workspace)
    with pytest.raises(WorkspaceError, match="the copy was given up"):
        workspace.keep(path, tmp_path / "kept", stop=lambda: bool(written))
    assert not (tmp_path / "kept").exists()
    assert path.read_bytes() == b"content"


def test_a_copy_is_kept_although_the_source_cannot_be_removed(workspace, tmp_path, other_disk, monkeypatch):
    """To raise would say that the file is still staged, and a second try would meet the copy."""
    path, real = staged(workspace), os.unlink

    def unlink(name, **place):
        if name == path.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(name, **place)

    monkeypatch.setattr(os, "unlink", unlink)
    assert workspace.keep(path, tmp_path / "kept").read_bytes() == b"content"
    monkeypatch.undo()


def test_keep_across_file_systems_never_overwrites_either_way(workspace, tmp_path, other_disk):
    path = staged(workspace)
    (tmp_path / "kept").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        workspace.keep(path, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"mine"
    assert path.read_bytes() == b"content"
    assert sorted(os.listdir(tmp_path)) == ["kept", "root"]


def test_a_kill_in_the_middle_of_a_copy_leaves_nothing_beside_the_destination(root, tmp_path):
    """On Linux: a file without a name goes with its process."""
    code = (
        "import os, sys, pathlib, signal\nfrom staging._disk import moving\n"
        "moving._PIECE_BYTES = 10\n"
        "source, target = map(pathlib.Path, sys.argv[1:])\nsource.write_bytes(bytes(100))\n"
        "moving._copy_new(str(source), target, None, lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    place = tmp_path / "place"
    place.mkdir()
    subprocess.run([sys.executable, "-c", code, tmp_path / "source", place / "target"], timeout=60, check=False)
    assert (tmp_path / "source").is_file()
    assert os.listdir(place) == []


# ── local files ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("in_kernel", [True, False])
def test_an_open_file_is_copied_piece_by_piece(workspace, tmp_path, monkeypatch, in_kernel):
    if not in_kernel:
        monkeypatch.setattr(os, "copy_file_range", broken)
    content = os.urandom(5000) + b"end"
    (tmp_path / "source").write_bytes(content)
    part, descriptor = PartFile(workspace), moving_module.open_regular(tmp_path / "source")
    copied = []
    while count := part.copy_from(descriptor, 3000):
        copied.append(count)
        assert part.size == sum(copied)
    os.close(descriptor)
    (head, _), done = part.ends(), part.commit("a", b" and more")
    assert copied == [3000, 2003]
    assert done.read_bytes() == content + b" and more"
    assert head == content[: part_module.HEAD_BYTES]
    assert part.size == len(content) + 9


def test_a_file_that_does_not_know_its_size_is_copied_too(workspace):
    """The kernel copies nothing from /proc, whose files say that they are empty."""
    part, descriptor = PartFile(workspace), moving_module.open_regular("/proc/self/cmdline")
    while part.copy_from(descriptor, 1000):
        pass
    os.close(descriptor)
    assert part.commit("a").read_bytes() == Path("/proc/self/cmdline").read_bytes() != b""


def test_a_copy_minds_the_free_space(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace_module, "_free_space", lambda *place: 1500)
    (tmp_path / "source").write_bytes(bytes(1000))
    part, descriptor = PartFile(workspace, min_free=1000), moving_module.open_regular(tmp_path / "source")
    with pytest.raises(WorkspaceError, match="disk full"):
        part.copy_from(descriptor, 1000)
    assert part.copy_from(descriptor, 500) == 500
    os.close(descriptor)
    part.discard()


def test_only_regular_files_are_opened(tmp_path):
    """Neither is a pipe's other end waited for."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):
        moving_module.open_regular(tmp_path / "link")
    for place in (tmp_path / "pipe", tmp_path, "/dev/null"):
        with pytest.raises(WorkspaceError, match="no regular file"):
            moving_module.open_regular(place)
    os.close(moving_module.open_regular(tmp_path / "file"))


# ── sweeping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def plant(root, number, *, files=0):
    for _ in range(number):
        path = root / new_name()
        path.mkdir(0o700)
        for n in range(files):
            (path / str(n)).touch()


def test_a_sweep_stops_between_two_entries(root):
    plant(root, 10)
    looks = iter([False, False, False, True])
    assert sweep_until(root, lambda: next(looks)) == 3
    assert sweep(root) == 7


def test_a_sweep_stops_inside_an_orphan_and_the_next_goes_on(root):
    plant(root, 1, files=50)
    (orphan,) = root.iterdir()
    (orphan / "deep" / "er").mkdir(parents=True)
    looks = iter([False] * 20 + [True] * 100)
    assert sweep_until(root, lambda: next(looks)) == 0
    assert 0 < len(os.listdir(orphan)) < 50
    assert is_free(orphan)
    assert sweep(root) == 1


def test_a_sweep_that_is_told_to_stop_asks_nothing_more(root, monkeypatch):
    plant(root, 1)
    monkeypatch.setattr(sweep_module, "Lease", broken)
    assert sweep_until(root, lambda: True) == 0
    monkeypatch.undo()
    assert sweep(root) == 1


def test_a_root_in_which_every_user_can_rename_is_not_swept(root, caplog):
    """Another user may have given a directory of ours the name of an orphan."""
    plant(root, 1, files=1)
    root.chmod(0o777)
    assert (sweep(root), sweep(root)) == (0, 0)
    assert [record.message for record in caplog.records] == [
        f"Does not sweep {root}: every user can rename directories there; chmod +t it"
    ]
    root.chmod(0o1777)
    assert sweep(root) == 1


def test_a_sweep_leaves_the_mode_of_the_living_alone(root):
    """The body, or its group, may have opened it to others on purpose."""
    workspace = Workspace.create(root)
    workspace.directory.chmod(0o755)
    assert sweep(root) == 0
    assert workspace.directory.stat().st_mode & 0o777 == 0o755
    workspace.remove()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_P07_without_locks_it_is_said_once(root, monkeypatch, caplog, code):
    """Network file systems: what a killed process leaves there is never swept, and the operator must know."""

    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(lease_module, "_lock", refuse)
    Workspace.create(root).remove()
    assert len(caplog.records) == 1
    plant(root, 3)
    for _ in range(2):
        workspace = Workspace.create(root)
        assert workspace.directory.stat().st_mode & 0o777 == 0o700
        assert sweep_until(root, removal_module.never) == 0
        assert workspace.remove() == Removal(0, ())
    said = f"temp_dir {root} has no file locks; what a killed process leaves there is never swept"
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", said)]
    caplog.clear()
    assert sweep(root) == sweep(str(root)) == 0
    assert [record.message for record in caplog.records] == [
        f"Cannot sweep {root}: its file system has no locks, which tell the dead from the living"
    ]
    assert len(os.listdir(root)) == 3
