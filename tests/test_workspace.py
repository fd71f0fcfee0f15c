"""The workspace: private, filled through part files, and gone afterwards whatever was done to it."""

# ruff: noqa: PTH112, PTH116, PTH118, PTH208
# (fault ids are written as in the table of faults; system calls are the subject)

import contextlib
import errno
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from staging._claims.media import HEAD_BYTES, TAIL_BYTES
from staging._disk import lease as lease_module
from staging._disk import removal as removal_module
from staging._disk import root as root_module
from staging._disk import workspace as workspace_module
from staging._disk.errors import storage_error
from staging._disk.part import PartFile
from staging._disk.removal import Removal
from staging._disk.root import prepare_root
from staging._disk.sweep import sweep
from staging._disk.workspace import Workspace
from staging._errors import WorkspaceError

ROOT = os.geteuid() == 0
NOBODY = 65534


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir(0o700)
    return path


@pytest.fixture
def quick_root():
    """A root in memory, if there is one: ten thousand directories take a disk half a minute."""
    path = Path(tempfile.mkdtemp(prefix="quick-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    yield path
    path.rmdir()


@pytest.fixture
def workspace(root):
    made = Workspace.create(root)
    yield made
    made.remove()


def put(workspace, name="a.txt", content=b"content"):
    part = PartFile(workspace)
    part.append(content)
    return part.commit(name)


def visible(workspace):
    return sorted(name for name in os.listdir(workspace.directory) if not name.startswith("."))


def hidden(workspace):
    return sorted(name for name in os.listdir(workspace.directory) if name.startswith("."))


def failing(monkeypatch, function, code, *, times=1, when=lambda *args: True):
    """Let an `os` function fail with this error number, so many times."""
    real, left = getattr(os, function), [times]

    def broken(*args, **kwargs):
        if left[0] and when(*args):
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, function, broken)


def as_nobody(code, *arguments):
    """Run code in a process without privileges, in a directory of its own; return what it printed."""
    place = tempfile.mkdtemp(prefix="for-nobody-")
    drop = f"os.chown(place, {NOBODY}, {NOBODY}); os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    prologue = (
        "import os, sys, stat\nfrom pathlib import Path\nfrom staging import WorkspaceError, sweep\n"
        "from staging._disk.part import PartFile\nfrom staging._disk.root import prepare_root\n"
        "from staging._disk.workspace import Workspace\n"
        f"place = Path(sys.argv[1])\n{drop if ROOT else ''}\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", prologue + code, place, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        shutil.rmtree(place)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ── the root ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_root_is_absolute_and_made_privately_with_its_parents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prepare_root("a/b/c") == tmp_path / "a" / "b" / "c"
    assert [stat.S_IMODE((tmp_path / p).stat().st_mode) for p in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert prepare_root(tmp_path / "a") == tmp_path / "a"
    assert os.listdir(tmp_path / "a" / "b" / "c") == []


def test_no_root_means_the_systems(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path))
    assert prepare_root(None) == tmp_path


def test_existing_root_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o750)
    prepare_root(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file", "file is not a directory"),
        ("file/below", "file is not a directory"),
        ("link", "is a symbolic link; give its target"),
        ("dangling", "is a symbolic link; give its target"),
        ("x" * 300, "the name is too long"),
        ("nul\0byte", "temp_dir is no path"),
        ("\ud800", "temp_dir is no path"),
    ],
)
def test_F03_unusable_root_is_one_clear_error(tmp_path, name, words):
    (tmp_path / "file").touch()
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(WorkspaceError) as caught:
        prepare_root(f"{tmp_path}/{name}")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.reason == "storage"
    assert sorted(os.listdir(tmp_path)) == before
    assert os.listdir(tmp_path / "target") == []


def test_F03_empty_root_is_not_the_current_directory():
    with pytest.raises(WorkspaceError, match="empty"):
        prepare_root("")


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (errno.EROFS, "storage", "the file system is read-only"),
        (errno.EACCES, "storage", "permission denied"),
        (errno.ENOSPC, "disk_full", "no space left on the disk"),
        (errno.EDQUOT, "disk_full", "the disk quota is used up"),
    ],
)
def test_F03_root_that_takes_no_directory_is_known_before_the_first_download(
    tmp_path, monkeypatch, code, reason, words
):
    failing(monkeypatch, "mkdir", code)
    with pytest.raises(WorkspaceError) as caught:
        prepare_root(tmp_path)
    assert (caught.value.reason, caught.value.errno) == (reason, code)
    assert words in str(caught.value)


@pytest.mark.skipif(not ROOT, reason="mounting takes root")
def test_F03_read_only_mount(tmp_path):
    with mounted(tmp_path, "ro,size=1m") as place, pytest.raises(WorkspaceError, match="read-only") as caught:
        prepare_root(place)
    assert caught.value.errno == errno.EROFS


def test_F03_no_permission():
    said = as_nobody("""
os.chmod(place, 0o500)
for path in (place, place / "new"):
    try: prepare_root(path)
    except WorkspaceError as error: print(error.reason, error.errno == 13, "permission denied" in str(error))
os.chmod(place, 0o700)
""")
    assert said == "storage True True\n" * 2


@pytest.mark.parametrize(("mode", "told"), [(0o1777, 0), (0o1770, 0), (0o755, 0), (0o775, 1), (0o770, 1)])
def test_F04_root_that_a_group_can_write_is_logged_once(tmp_path, caplog, monkeypatch, mode, told):
    """Its members can put another directory in a workspace's place; the group of this process may be its user's own."""
    tmp_path.chmod(mode)
    with caplog.at_level(logging.WARNING, "staging"):
        for _ in range(2):
            made = Workspace.create(prepare_root(tmp_path))
            assert stat.S_IMODE(made.directory.stat().st_mode) == 0o700
            made.remove()
        assert caplog.records == []
        monkeypatch.setattr(os, "getegid", lambda: 4_000_000)
        monkeypatch.setattr(root_module, "_ROOT_GROUP", -1)
        for _ in range(2):
            prepare_root(tmp_path)
    assert len(caplog.records) == told
    assert all("can be written by group" in record.message for record in caplog.records)


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o2777])
def test_F04_root_that_every_user_can_write_is_refused(tmp_path, mode):
    """Another user could rename the workspace and serve other files under its paths (CVE-2026-3888)."""
    tmp_path.chmod(mode)
    with pytest.raises(
        WorkspaceError, match=r"every user can replace what lies in it; chmod \+t it, or give"
    ) as caught:
        prepare_root(tmp_path)
    assert caught.value.reason == "storage"
    assert os.listdir(tmp_path) == []


def test_F04_a_directory_inside_such_a_place_is_taken_with_a_warning(tmp_path, caplog):
    """A volume of mode 0777 may be all that a container has."""
    tmp_path.chmod(0o777)
    for _ in range(2):
        assert prepare_root(tmp_path / "private") == tmp_path / "private"
    complaint = f"lies in {tmp_path}, which can be written by every user and has no sticky bit"
    assert [record.message for record in caplog.records] == [
        f"temp_dir {tmp_path}/private {complaint}; its files could be replaced there"
    ]
    assert caplog.records[0].staging == {"root": f"{tmp_path}/private"}


@pytest.mark.skipif(not ROOT, reason="giving a directory away takes root")
def test_F04_root_of_another_user_is_logged_once(tmp_path, caplog):
    os.chown(tmp_path, NOBODY, NOBODY)
    for _ in range(2):
        prepare_root(tmp_path)
    assert [record.message for record in caplog.records] == [
        f"temp_dir {tmp_path} belongs to another user (uid {NOBODY}); its files could be replaced there"
    ]


def test_F03_every_error_of_the_root_says_what_to_do(tmp_path, monkeypatch):
    failing(monkeypatch, "mkdir", errno.EROFS)
    with pytest.raises(WorkspaceError) as caught:
        prepare_root(tmp_path)
    assert str(caught.value) == (
        f"temp_dir {tmp_path}: the file system is read-only; give a temp_dir that this process can write, or set TMPDIR"
    )


def test_F03_a_container_without_a_temporary_directory(monkeypatch):
    """Read-only, and no tmpfs mounted: the operator reads which places were tried and what to set."""
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere", "/proc/self"])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(WorkspaceError) as caught:
        prepare_root(None)
    for word in ("/proc/nowhere", "/proc/self", "TMPDIR", "temp_dir"):
        assert word in str(caught.value)
    assert str(caught.value).isprintable()


# ── making ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_private_unpredictable_and_alive(root):
    first, second = Workspace.create(root), Workspace.create(root)
    assert first.directory != second.directory
    assert first.directory.parent == root
    assert os.listdir(first.directory) == []
    assert stat.S_IMODE(first.directory.stat().st_mode) == 0o700
    assert sweep(root) == 0
    assert first.remove() == second.remove() == Removal(0, ())
    assert os.listdir(root) == []


def test_mode_whatever_the_umask():
    said = as_nobody("""
for umask in (0, 0o777):
    os.umask(umask)
    workspace = Workspace.create(place)
    part = PartFile(workspace)
    part.append(b"x")
    path = part.commit("a")
    print(oct(stat.S_IMODE(workspace.directory.stat().st_mode)), stat.S_IMODE(path.stat().st_mode) & 0o177)
    print(workspace.remove())
""")
    assert said == "0o700 0\nRemoval(files=1, leftovers=())\n" * 2


def test_half_made_directory_taken_by_a_sweep_is_made_again(root, monkeypatch):
    """The window between making the directory and holding its lease belongs to the sweeps; it costs one more try."""
    real, thefts = workspace_module._lease_new, []

    def meddle(directory, group):
        if len(thefts) < 3:
            thefts.append(os.fspath(directory))
            assert sweep(root) == 1
        return real(directory, group)

    monkeypatch.setattr(workspace_module, "_lease_new", meddle)
    made = Workspace.create(root)
    assert os.listdir(root) == [made.directory.name]
    assert os.fspath(made.directory) not in thefts
    made.remove()


def test_half_made_directory_locked_by_a_sweep_is_left_to_it(root, monkeypatch):
    real, sweepers = workspace_module._lease_new, []

    def meddle(directory, group):
        if not sweepers:
            sweepers.append(lease_module.Lease(os.fspath(directory)))
        return real(directory, group)

    monkeypatch.setattr(workspace_module, "_lease_new", meddle)
    made = Workspace.create(root)
    assert len(os.listdir(root)) == 2
    sweepers[0].release()
    assert sweep(root) == 1
    assert os.listdir(root) == [made.directory.name]
    made.remove()


def test_root_that_is_gone_is_not_made_again(root):
    root.rmdir()
    with pytest.raises(WorkspaceError, match="not there"):
        Workspace.create(root)
    assert not root.exists()


@pytest.mark.parametrize(("function", "code"), [("mkdir", errno.ENOSPC), ("open", errno.EMFILE), ("open", errno.EIO)])
def test_F01_F05_making_fails_with_nothing_left(root, monkeypatch, function, code):
    failing(monkeypatch, function, code)
    with pytest.raises(WorkspaceError) as caught:
        Workspace.create(root)
    assert caught.value.reason == ("disk_full" if code == errno.ENOSPC else "storage")
    assert os.listdir(root) == []


# ── part files ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_has_its_name_only_when_it_is_complete(workspace):
    part = PartFile(workspace)
    assert hidden(workspace) == []
    part.append(b"one", memoryview(b"two"), bytearray(b"three"))
    part.append(b"four")
    assert part.size == 15
    assert (visible(workspace), hidden(workspace)) == ([], [".1.part"])
    done = part.commit("a.txt")
    assert done == workspace.directory / "a.txt"
    assert done.read_bytes() == b"onetwothreefour"
    assert part.size == 15
    assert stat.S_IMODE(done.stat().st_mode) == 0o600
    assert (visible(workspace), hidden(workspace)) == (["a.txt"], [])
    assert done.stat().st_nlink == 1


def test_empty_file(workspace):
    part = PartFile(workspace)
    assert part.commit("empty").read_bytes() == b""
    assert part.size == 0


def test_head_and_tail_are_for_the_type(workspace):
    part = PartFile(workspace)
    content = b"PK\3\4" + os.urandom(200_000)
    part.append(content)
    assert part.ends() == (content[:HEAD_BYTES], content[-TAIL_BYTES:])
    part.discard()


def test_restart_forgets_every_byte(workspace):
    part = PartFile(workspace)
    part.restart()
    part.append(b"the first version")
    part.restart()
    assert part.size == 0
    part.append(b"second")
    assert part.commit("a").read_bytes() == b"second"


def test_short_writes_are_continued(workspace, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    assert put(workspace, content=b"0123456789").read_bytes() == b"0123456789"


def test_F12_equal_names_are_told_apart(workspace):
    paths = [put(workspace, name, str(n).encode()) for n, name in enumerate(["a.png", "A.PNG", "a.png"])]
    assert [path.name for path in paths] == ["a.png", "A-2.PNG", "a-3.png"]
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2"]


def test_a_name_that_the_locale_cannot_write_is_one_that_it_can(workspace, monkeypatch):
    """`download` never raises for an attachment, whatever it is called and under whatever locale."""
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso-8859-1")
    assert [workspace.claim(name) for name in ("日本.pdf", "語学.pdf", "é.pdf")] == ["__.pdf", "__-2.pdf", "é.pdf"]


def test_F12_claimed_names_do_not_depend_on_who_is_first(workspace):
    parts = [PartFile(workspace, "a.png") for _ in range(3)]
    paths = []
    for number, part in reversed([*enumerate(parts)]):
        part.append(b"%d" % number)
        paths.append(part.commit("a.png"))
    assert [(path.name, path.read_bytes()) for path in reversed(paths)] == [
        ("a.png", b"0"), ("a-2.png", b"1"), ("a-3.png", b"2"),
    ]  # fmt: skip


def test_the_name_of_a_file_that_was_given_up_is_free_again(workspace):
    given_up, other = PartFile(workspace, "a.png"), PartFile(workspace, "a.png")
    given_up.append(b"x")
    given_up.discard()
    third = PartFile(workspace, "a.png")
    given_up.discard()  # a second time, which frees nothing
    assert [part.commit("a.png").name for part in (other, third, PartFile(workspace, "a.png"))] == [
        "a-2.png", "a.png", "a-3.png",
    ]  # fmt: skip


def test_F11_what_the_body_made_is_never_replaced(workspace):
    """Nor what a file system thinks is the same name: the system's EEXIST decides, not our table."""
    (workspace.directory / "a.txt").write_text("the body's")
    (workspace.directory / ".1.part").symlink_to("a.txt")
    (workspace.directory / "a-2.txt").symlink_to("nowhere")
    assert put(workspace).name == "a-3.txt"
    assert (workspace.directory / "a.txt").read_text() == "the body's"


def test_F11_file_system_that_allows_143_bytes(workspace, monkeypatch):
    real = os.link

    def link(source, target, **kwargs):
        if len(os.fsencode(target)) > 143:
            raise OSError(errno.ENAMETOOLONG, "too long")
        real(source, target, **kwargs)

    monkeypatch.setattr(os, "link", link)
    paths = [put(workspace, "ü" * 73 + ".pdf", bytes([n])) for n in range(3)]
    assert len(set(paths)) == 3
    assert all(path.name.startswith("ü" * 30) and path.suffix == ".pdf" for path in paths)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_F11_file_system_without_hard_links(workspace, monkeypatch, code):
    failing(monkeypatch, "link", code, times=-1)
    paths = [put(workspace, content=bytes([n])) for n in range(2)]
    (workspace.directory / "body").touch()
    assert put(workspace, "body").name == "body-2"
    assert [path.name for path in paths] == ["a.txt", "a-2.txt"]
    assert hidden(workspace) == []


@pytest.mark.parametrize("function", ["write", "close", "link", "open"])
@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (errno.ENOSPC, "disk_full", "no space left on the disk"),
        (errno.EDQUOT, "disk_full", "the disk quota is used up"),
        (errno.EIO, "storage", "the disk reported an input/output error"),
        (errno.EROFS, "storage", "the file system is read-only"),
        (errno.EMFILE, "storage", "too many open files in this process (EMFILE)"),
    ],
)
def test_F01_F02_F05_a_failing_file_leaves_its_siblings(  # noqa: PLR0917  # one argument for each column
    workspace, monkeypatch, function, code, reason, words
):
    sibling = put(workspace, "sibling")
    part = PartFile(workspace)
    if function == "close":
        close_and_fail(monkeypatch, code)
    else:
        failing(monkeypatch, function, code)
    with pytest.raises(WorkspaceError) as caught:
        part.append(b"content")
        part.commit("a")
    part.discard()
    assert (caught.value.reason, caught.value.detail, caught.value.errno) == (reason, words, code)
    assert (visible(workspace), hidden(workspace)) == (["sibling"], [])
    assert sibling.read_bytes() == b"content"
    assert put(workspace, "later").read_bytes() == b"content"


def close_and_fail(monkeypatch, code):
    """A failing `close` has closed all the same (Linux): to close again might hit somebody else's descriptor."""
    real = os.close

    def close(descriptor):
        monkeypatch.setattr(os, "close", real)
        real(descriptor)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "close", close)


@contextlib.contextmanager
def mounted(place, options):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(not ROOT, reason="mounting takes root")
def test_F01_a_disk_that_is_really_full(tmp_path):
    with mounted(tmp_path, "size=1m") as place:
        workspace = Workspace.create(prepare_root(place))
        put(workspace, "sibling", b"x" * 500_000)
        part = PartFile(workspace)
        with pytest.raises(WorkspaceError) as caught:
            for _ in range(20):
                part.append(b"x" * 65_536)
        part.discard()
        assert caught.value.reason == "disk_full"
        assert visible(workspace) == ["sibling"]
        put(workspace, "later", b"x" * 300_000)
        assert workspace.remove() == Removal(2, ())
        assert os.listdir(place) == []


@pytest.mark.skipif(not ROOT, reason="mounting takes root")
def test_F01_a_disk_without_a_free_inode(tmp_path):
    with mounted(tmp_path, "size=1m,nr_inodes=3") as place:
        workspace = Workspace.create(place)
        with pytest.raises(WorkspaceError) as caught:
            put(workspace)
        assert caught.value.reason == "disk_full"
        with pytest.raises(WorkspaceError) as caught:
            prepare_root(place / "below")
        assert caught.value.reason == "disk_full"
        assert workspace.remove() == Removal(0, ())


def test_free_space_must_remain(workspace):
    free = os.statvfs(workspace.directory)
    part = PartFile(workspace, min_free=free.f_bavail * free.f_frsize + 2**40)
    with pytest.raises(WorkspaceError, match=r"disk full: .* free, of which .* must remain") as caught:
        part.append(b"x")
    assert (caught.value.reason, hidden(workspace)) == ("disk_full", [])


def test_free_space_is_asked_before_every_append(workspace, monkeypatch):
    part = PartFile(workspace, min_free=1000)
    part.append(b"x")
    monkeypatch.setattr(workspace_module, "_free_space", lambda *place: 1500)
    part.append(b"x" * 500)
    with pytest.raises(WorkspaceError):
        part.append(b"x" * 501)
    assert part.size == 501
    part.discard()


def test_a_file_system_that_does_not_tell_is_not_full(workspace, monkeypatch):
    silent = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: silent)
    part = PartFile(workspace, min_free=1000)
    part.append(b"x")
    part.discard()


# ── giving up ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_given_up_before_during_and_after(workspace):
    never, open_one, named = PartFile(workspace), PartFile(workspace), PartFile(workspace)
    open_one.append(b"x")
    path = named.commit("named")
    for part in (never, open_one, named):
        if part is not named:
            part.discard()
            part.discard()
        with pytest.raises(WorkspaceError, match="given up or has its name"):
            part.append(b"x")
    assert (visible(workspace), hidden(workspace)) == (["named"], [])
    named.discard()
    assert not path.exists()
    assert workspace.remove() == Removal(0, ())


class Stuck:
    """An `os` function that hangs in its first call until it is told to go on."""

    def __init__(self, monkeypatch, function, *, after):
        self.inside, self.go, self._real, self._after = (
            threading.Event(),
            threading.Event(),
            getattr(os, function),
            after,
        )
        monkeypatch.setattr(os, function, self)

    def __call__(self, *args, **kwargs):
        if self.inside.is_set():
            return self._real(*args, **kwargs)
        if self._after:
            result = self._real(*args, **kwargs)
        self.inside.set()
        assert self.go.wait(30)
        return result if self._after else self._real(*args, **kwargs)


def work(part):
    with contextlib.suppress(WorkspaceError):
        part.append(b"PK\3\4" + bytes(HEAD_BYTES))
        part.ends()  # of an archive the tail is read as well
        part.commit("a")


@pytest.mark.parametrize("end", ["discard", "remove", "discard, remove", "remove, discard", "twice"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("function", ["open", "write", "lseek", "close", "link", "unlink"])
def test_given_up_while_a_worker_hangs_in_the_disk(root, monkeypatch, function, after, end):
    """Whatever call the worker hangs in: nobody waits for it, and it leaves no file, descriptor or name behind."""
    workspace = Workspace.create(root)
    part = PartFile(workspace)
    stuck = Stuck(monkeypatch, function, after=after)
    worker = threading.Thread(target=work, args=(part,))
    worker.start()
    assert stuck.inside.wait(30)
    for step in ("discard", "discard") if end == "twice" else end.split(", "):
        (workspace if step == "remove" else part).__getattribute__(step)()
    stuck.go.set()
    worker.join(30)
    part.discard()
    if "remove" not in end:
        assert (visible(workspace), hidden(workspace)) == ([], [])
    workspace.remove()
    if "remove" in end:
        sweep(root)  # a file that was made after the last look is left to the next sweep
    assert os.listdir(root) == []


def test_the_lease_lasts_as_long_as_a_worker_is_inside(root, monkeypatch):
    """Otherwise a descriptor that was closed under it would soon be somebody else's file."""
    workspace = Workspace.create(root)
    part = PartFile(workspace)
    stuck = Stuck(monkeypatch, "write", after=False)
    worker = threading.Thread(target=work, args=(part,))
    worker.start()
    assert stuck.inside.wait(30)
    descriptors = workspace.descriptor, part._fd
    part.discard()
    assert workspace.remove() == Removal(0, ())
    for descriptor in descriptors:
        os.fstat(descriptor)
    stuck.go.set()
    worker.join(30)
    for descriptor in descriptors:
        with pytest.raises(OSError):
            os.fstat(descriptor)


def test_given_up_when_the_file_has_just_got_its_name(workspace, monkeypatch):
    """The worker is still inside, so nobody will ever hear of the file."""
    inside, go, real = threading.Event(), threading.Event(), Workspace.give_name

    def slow(*args):
        name = real(*args)
        inside.set()
        assert go.wait(30)
        return name

    monkeypatch.setattr(Workspace, "give_name", slow)
    part = PartFile(workspace)
    worker = threading.Thread(target=work, args=(part,))
    worker.start()
    assert inside.wait(30)
    assert visible(workspace) == ["a"]
    part.discard()
    go.set()
    worker.join(30)
    assert visible(workspace) == []


def test_no_descriptor_is_closed_or_used_twice(root, tmp_path):
    """Its number belongs to somebody else by then: to another download, say, or to the caller."""
    workspace = Workspace.create(root)
    named, forgotten = PartFile(workspace), PartFile(workspace)
    named.append(b"x")
    number = named._fd
    named.commit("a")
    with (tmp_path / "another").open("wb") as another:
        assert another.fileno() == number
        named.discard()
        os.fstat(number)
    forgotten.append(b"x")
    victim = tmp_path / forgotten._name
    victim.touch()
    number = workspace.descriptor
    workspace.remove()
    other = os.open(tmp_path, os.O_RDONLY)
    assert other == number
    forgotten.discard()
    os.close(other)
    assert victim.exists()


def test_used_after_the_end(root):
    workspace = Workspace.create(root)
    part = PartFile(workspace)
    path = put(workspace)
    workspace.remove()
    for call in (lambda: part.append(b"x"), lambda: part.commit("x"), lambda: workspace.keep(path, root / "kept")):
        with pytest.raises(WorkspaceError, match="the workspace is over"):
            call()
    assert os.listdir(root) == []


def test_P04_forked_child_neither_deletes_nor_uses_it(root):
    """A child that ends in its own way, unwinding the parent's scope for one, leaves the parent's stage alone."""
    workspace = Workspace.create(root)
    part = PartFile(workspace)
    part.append(b"before")
    path = put(workspace)
    child = fork(lambda: in_child(workspace, part, path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    part.append(b" after")
    assert part.commit("b").read_bytes() == b"before after"
    assert path.read_bytes() == b"content"
    assert workspace.remove() == Removal(2, ())


def in_child(workspace, part, path):
    part.discard()
    part.discard()
    assert workspace.remove() == Removal(0, ())
    for call in (lambda: part.append(b"x"), lambda: workspace.keep(path, path.with_name("kept"))):
        with pytest.raises(WorkspaceError, match="belongs to the parent"):
            call()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12: idle threads of other tests
def fork(function):
    child = os.fork()
    if child:
        return child
    try:
        function()
    except BaseException:  # noqa: BLE001  # the child must not go on with the parent's tests
        os._exit(1)
    os._exit(0)


# ── keeping ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_keep_moves_one_file_out(workspace, tmp_path):
    path, other = put(workspace), put(workspace, "other")
    assert workspace.keep(path, tmp_path / "kept") == tmp_path / "kept"
    assert (tmp_path / "kept").read_bytes() == b"content"
    assert (tmp_path / "kept").stat().st_nlink == 1
    assert visible(workspace) == ["other"]
    assert workspace.keep(other, str(tmp_path)) == tmp_path / "other"
    assert workspace.remove() == Removal(0, ())
    assert (tmp_path / "other").read_bytes() == b"content"


def test_keep_into_a_relative_path(workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert workspace.keep(put(workspace), "kept") == tmp_path / "kept"


@pytest.mark.parametrize("hard_links", [True, False])
def test_keep_never_overwrites(workspace, tmp_path, monkeypatch, hard_links):
    path = put(workspace)
    if not hard_links:
        failing(monkeypatch, "link", errno.EPERM, times=-1)
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "a.txt").write_text("old")
    for name in ("file", "link", "directory"):
        with pytest.raises(FileExistsError):
            workspace.keep(path, tmp_path / name)
    assert (tmp_path / "file").read_text() == (tmp_path / "directory" / "a.txt").read_text() == "old"
    assert path.read_bytes() == b"content"


@pytest.fixture
def elsewhere(tmp_path):
    """A directory on another file system, if there is one."""
    others = [place for place in ("/dev/shm", "/tmp", "/var/tmp") if os.path.isdir(place)]
    others = [place for place in others if os.stat(place).st_dev != tmp_path.stat().st_dev]
    if not others:
        pytest.skip("there is only one file system here")
    path = Path(tempfile.mkdtemp(dir=others[0], prefix="keep-"))
    yield path
    shutil.rmtree(path)


def test_keep_across_file_systems(workspace, elsewhere):
    content = os.urandom(3_000_000)
    path = put(workspace, content=content)
    assert workspace.keep(path, elsewhere / "kept").read_bytes() == content
    assert stat.S_IMODE((elsewhere / "kept").stat().st_mode) == 0o600
    assert (os.listdir(elsewhere), visible(workspace)) == (["kept"], [])


def test_keep_across_file_systems_never_overwrites(workspace, elsewhere):
    path = put(workspace)
    (elsewhere / "kept").write_text("old")
    with pytest.raises(FileExistsError):
        workspace.keep(path, elsewhere / "kept")
    assert (os.listdir(elsewhere), (elsewhere / "kept").read_text()) == (["kept"], "old")
    assert path.read_bytes() == b"content"


@pytest.mark.parametrize(("function", "code"), [("fsync", errno.EIO), ("fsync", errno.ENOSPC)])
def test_F01_keep_that_fails_leaves_the_file_where_it_is(workspace, elsewhere, monkeypatch, function, code):
    path = put(workspace)
    failing(monkeypatch, function, code)
    with pytest.raises(WorkspaceError, match=r"a\.txt cannot be kept"):
        workspace.keep(path, elsewhere / "kept")
    assert (os.listdir(elsewhere), path.read_bytes()) == ([], b"content")


def test_keep_refuses_what_is_no_staged_file(workspace, tmp_path):
    (tmp_path / "secret").write_text("secret")
    link = workspace.directory / "link"
    link.symlink_to(tmp_path / "secret")
    fifo = workspace.directory / "fifo"
    os.mkfifo(fifo)
    gone = put(workspace)
    gone.unlink()
    put(workspace, "secret")
    for path in (link, fifo, gone, tmp_path / "secret", workspace.directory / ".." / "root"):
        with pytest.raises(WorkspaceError):
            workspace.keep(path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_keep_needs_the_directory_above(workspace, tmp_path):
    with pytest.raises(WorkspaceError, match="not there") as caught:
        workspace.keep(put(workspace), tmp_path / "missing" / "kept")
    assert caught.value.errno == errno.ENOENT


# ── removing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_staged_files_count(workspace, root):
    for name in ("a", "b", "c", "d"):
        put(workspace, name)
    (workspace.directory / "a").unlink()
    (workspace.directory / "extra").touch()
    assert workspace.remove() == Removal(3, ())
    assert workspace.remove() == Removal(0, ())
    assert os.listdir(root) == []


def test_a_worker_that_names_its_file_meanwhile_does_not_disturb(workspace, root, monkeypatch):
    put(workspace)
    real = os.unlink

    def unlink(*args, **kwargs):
        workspace._staged["late"] = None
        real(*args, **kwargs)

    monkeypatch.setattr(os, "unlink", unlink)
    assert workspace.remove() == Removal(1, ())
    assert os.listdir(root) == []


def test_F06_gone_underneath_is_fine(root):
    workspace = Workspace.create(root)
    part = PartFile(workspace)
    part.append(b"x")
    shutil.rmtree(workspace.directory)
    part.append(b"still written to the open file")
    with pytest.raises(WorkspaceError, match="not there"):
        part.commit("a")
    part.discard()
    with pytest.raises(WorkspaceError, match="not there"):
        PartFile(workspace).append(b"x")
    assert workspace.remove() == Removal(0, ())
    assert os.listdir(root) == []


def test_F06_the_root_too(root):
    workspace = Workspace.create(root)
    put(workspace)
    shutil.rmtree(root)
    assert workspace.remove() == Removal(0, ())
    assert not root.exists()


@pytest.mark.parametrize("how", ["symlink", "directory", "file"])
def test_F07_what_took_its_name_is_not_touched(root, tmp_path, how):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "a.txt").write_text("precious")
    workspace = Workspace.create(root)
    put(workspace)
    workspace.directory.rename(tmp_path / "moved")
    if how == "symlink":
        workspace.directory.symlink_to(victim)
    elif how == "directory":
        workspace.directory.mkdir()
        (workspace.directory / "a.txt").write_text("precious")
    else:
        workspace.directory.write_text("precious")
    assert workspace.remove() == Removal(1, ((".", "something else has the workspace's name; it was not touched"),))
    assert (victim / "a.txt").read_text() == "precious"
    assert os.path.lexists(workspace.directory)
    assert how != "directory" or (workspace.directory / "a.txt").read_text() == "precious"
    assert os.listdir(tmp_path / "moved") == []


def test_F07_an_empty_directory_in_its_place_is_not_removed_either(root, tmp_path):
    workspace = Workspace.create(root)
    workspace.directory.rename(tmp_path / "moved")
    workspace.directory.mkdir()
    assert workspace.remove().leftovers
    assert workspace.directory.is_dir()


def test_F07_swapped_in_a_loop_while_it_is_removed(root, tmp_path):
    """A thread swaps a child of the workspace with a symbolic link to the victim as fast as it can."""
    victim = tmp_path / "victim"
    (victim / "below").mkdir(parents=True)
    for place in (victim, victim / "below"):
        (place / "precious").touch()
    for _ in range(20):
        workspace = Workspace.create(root)
        child, link = workspace.directory / "child", workspace.directory / "link"
        (child / "below").mkdir(parents=True)
        for n in range(100):
            (child / str(n)).touch()
        link.symlink_to(victim)
        stop = threading.Event()
        swapper = threading.Thread(target=swap, args=(child, link, stop))
        swapper.start()
        workspace.remove()
        stop.set()
        swapper.join()
        sweep(root)
    assert sorted(str(path.relative_to(victim)) for path in victim.rglob("*")) == [
        "below", "below/precious", "precious",
    ]  # fmt: skip
    assert os.listdir(root) == []


def swap(child, link, stop):
    spare = child.with_name("spare")
    while not stop.is_set():
        with contextlib.suppress(OSError):
            child.rename(spare)
            link.rename(child)
            spare.rename(link)


def test_F08_staged_files_replaced_by_anything(root, tmp_path, monkeypatch):
    """A FIFO is never opened: that would wait for a writer for ever."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    workspace = Workspace.create(root)
    names = ["link", "fifo", "directory", "socket", "unreadable", "device"]
    for name in names:
        put(workspace, name).unlink()
    at = workspace.directory
    (at / "link").symlink_to(victim)
    os.mkfifo(at / "fifo")
    (at / "directory").mkdir()
    (at / "directory" / "inside").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(at)  # a socket's path must be short
        listener.bind("socket")
    (at / "unreadable").touch(mode=0)
    monkeypatch.chdir(root)
    assert workspace.remove().leftovers == ()
    assert (os.listdir(root), victim.read_text()) == ([], "precious")


@pytest.mark.skipif(not ROOT or not shutil.which("chattr"), reason="chattr takes root")
def test_F08_an_immutable_file_is_reported_and_left_to_the_next_sweep(root):
    workspace = Workspace.create(root)
    put(workspace, "a")
    stubborn = put(workspace, "stubborn")
    below = workspace.directory / "below" / "stubborn"
    below.parent.mkdir()
    below.touch()
    if subprocess.run(["chattr", "+i", stubborn, below], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        removal = workspace.remove()
    finally:
        subprocess.run(["chattr", "-R", "-i", root], check=True)
    reason = "operation not permitted"
    assert (removal.files, dict(removal.leftovers)) == (1, {"stubborn": reason, "below/stubborn": reason})
    assert sweep(root) == 1
    assert os.listdir(root) == []


def test_F02_EIO_on_unlink_is_reported_after_everything_else(root, monkeypatch):
    workspace = Workspace.create(root)
    for name in ("a", "b", "c"):
        put(workspace, name)
    with monkeypatch.context() as patch:
        failing(patch, "unlink", errno.EIO, times=-1, when=lambda name: name == "b")
        removal = workspace.remove()
    assert removal == Removal(2, (("b", "the disk reported an input/output error"),))
    assert os.listdir(workspace.directory) == ["b"]
    assert sweep(root) == 1


def test_F02_what_fails_once_is_tried_again_and_not_reported(root, monkeypatch):
    workspace = Workspace.create(root)
    for name in ("a", "b", "c", "d"):
        (workspace.directory / name).touch()
    with monkeypatch.context() as patch:
        failing(patch, "unlink", errno.EIO, when=lambda name: name == "a")
        failing(patch, "unlink", errno.EIO, times=-1, when=lambda name: name == "b")
        failing(patch, "unlink", errno.ENOENT, times=-1, when=lambda name: name == "c")  # somebody else was faster
        assert [path for path, _ in workspace.remove().leftovers] == ["b"]
    assert sweep(root) == 1


def test_F02_EIO_on_rmdir(root, monkeypatch):
    workspace = Workspace.create(root)
    with monkeypatch.context() as patch:
        failing(patch, "rmdir", errno.EIO, times=2)
        assert workspace.remove().leftovers == ((".", "the disk reported an input/output error"),)
    assert sweep(root) == 1


def test_what_a_worker_makes_while_the_rest_is_removed_goes_too(root, monkeypatch):
    """Seen in a soak: a worker that was given up opened its part file between the last look and the rmdir."""
    sweep, made = removal_module._Broom.sweep, []

    def sweep_and_make(broom):
        left = sweep(broom)
        if len(made) < 3:
            made.append(os.close(os.open(f".{len(made)}.part", os.O_CREAT | os.O_WRONLY, dir_fd=broom._top)))
        return left

    monkeypatch.setattr(removal_module._Broom, "sweep", sweep_and_make)
    workspace = Workspace.create(root)
    (workspace.directory / "made by the body").touch()
    assert workspace.remove().leftovers == ()
    assert len(made) == 3
    assert list(root.iterdir()) == []


def test_a_hundred_leftovers_are_enough_to_report(root, monkeypatch):
    workspace = Workspace.create(root)
    for n in range(150):
        (workspace.directory / str(n)).touch()
    with monkeypatch.context() as patch:
        failing(patch, "unlink", errno.EIO, times=-1, when=lambda name: name.isdigit())
        assert len(workspace.remove().leftovers) == 100
    assert sweep(root) == 1


def test_leftovers_are_one_line_each(root, monkeypatch):
    workspace = Workspace.create(root)
    (workspace.directory / "evil\nname\u202e").touch()
    with monkeypatch.context() as patch:
        failing(patch, "unlink", errno.EIO, times=-1, when=lambda name: name.startswith("evil"))
        ((path, _),) = workspace.remove().leftovers
    assert path.isprintable()
    sweep(root)


@pytest.mark.parametrize("extra", [False, True])
def test_F05_no_descriptor_left_in_the_process(root, extra):
    """The workspace's own descriptor removes what was staged; two in reserve remove what the body added."""
    workspace = Workspace.create(root)
    for name in ("a", "b"):
        put(workspace, name)
    if extra:
        (workspace.directory / "extra" / "below").mkdir(parents=True)
        (workspace.directory / "extra" / "below" / "file").touch()
    with no_descriptors():
        with pytest.raises(WorkspaceError, match="EMFILE"):
            PartFile(workspace).append(b"x")
        with pytest.raises(WorkspaceError, match="EMFILE"):
            Workspace.create(root)
        assert workspace.remove() == Removal(2, ())
    assert os.listdir(root) == []


@contextlib.contextmanager
def no_descriptors():
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def dig(directory, depth, above=None):
    """Make a chain of directories, deeper than any path is long."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", 0o700, dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        os.close(here)
        here = below
    os.close(here)


def test_F09_five_thousand_levels_deep(quick_root):
    """Without recursion, and with two more descriptors than before."""
    import resource

    workspace = Workspace.create(quick_root)
    dig(workspace.directory, 5000)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.dup(workspace.descriptor)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 3, limits[1]))
    try:
        removal = workspace.remove()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert removal == Removal(0, ())
    assert os.listdir(quick_root) == []


def test_F09_wide_and_deep(root):
    workspace = Workspace.create(root)
    for top in range(20):
        for path in ("a/b/c", "a/b/d", "e", ".removing-1/x", ".removing-2"):
            (workspace.directory / str(top) / path).mkdir(parents=True, exist_ok=True)
            (workspace.directory / str(top) / path / "file").touch()
    (workspace.directory / ".removing-1" / "was here").mkdir(parents=True)
    (workspace.directory / ".removing-2").touch()
    assert workspace.remove() == Removal(0, ())
    assert os.listdir(root) == []


def test_F09_many_files_without_loading_all_names(quick_root):
    """A hundred thousand names are some 10 MB; nothing of that size is held."""
    import tracemalloc

    workspace = Workspace.create(quick_root)
    first = workspace.directory / "0"
    first.touch()
    (workspace.directory / "below").mkdir()
    for n in range(1, 10_000):
        os.close(os.open(workspace.directory / f"{n}{'x' * 150}", os.O_CREAT | os.O_WRONLY))
        os.close(os.open(workspace.directory / "below" / f"{n}{'x' * 150}", os.O_CREAT | os.O_WRONLY))
    tracemalloc.start()
    try:
        assert workspace.remove() == Removal(0, ())
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert os.listdir(quick_root) == []


def test_F09_a_file_system_that_skips_entries(root, monkeypatch):
    """APFS and others skip entries while their neighbours are removed: a directory is read until nothing comes."""
    workspace = Workspace.create(root)
    for n in range(64):
        (workspace.directory / "below" / str(n)).mkdir(parents=True)
        (workspace.directory / str(n)).touch()
    real = os.scandir

    class Skipping:
        def __init__(self, where):
            self._entries = real(where)

        def __enter__(self):
            return (entry for n, entry in enumerate(self._entries) if n % 2 == 0)

        def __exit__(self, *error):
            self._entries.close()

    monkeypatch.setattr(os, "scandir", Skipping)
    assert workspace.remove() == Removal(0, ())
    monkeypatch.undo()
    assert os.listdir(root) == []


def test_F09_modes_that_forbid_it_are_repaired_without_privileges():
    said = as_nobody("""
workspace = Workspace.create(place)
at = workspace.directory
for mode in (0o000, 0o500, 0o100, 0o200, 0o400, 0o300):
    inner = at / f"{mode:o}" / "nested" / "deep"
    inner.mkdir(parents=True)
    (inner / "file").touch(mode=0)
    for path in (inner, inner.parent, inner.parent.parent):
        path.chmod(mode)
(at / "empty").mkdir(mode=0)
at.chmod(0)
print(workspace.remove(), os.listdir(place))
""")
    assert said == "Removal(files=0, leftovers=()) []\n"


@pytest.mark.skipif(not ROOT, reason="mounting takes root")
@pytest.mark.parametrize("nested", ["", "below"])
def test_what_is_mounted_inside_is_never_emptied(root, tmp_path, nested):
    """A bind mount from the same file system has the same device number: only `rmdir` can tell."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    workspace = Workspace.create(root)
    point = workspace.directory / nested / "mount"
    point.mkdir(parents=True)
    if subprocess.run(["mount", "--bind", victim, point], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        ((path, reason),) = workspace.remove().leftovers
    finally:
        subprocess.run(["umount", point], check=True)
    assert (path, reason) == (os.path.join(nested, "mount"), "in use, or a mount point")
    assert os.listdir(victim) == ["precious"]
    assert sweep(root) == 1


def test_F10_links_and_open_descriptors_survive(root, tmp_path):
    """What the caller has linked or opened is the caller's: documented, and nothing else could be done."""
    workspace = Workspace.create(root)
    path = put(workspace)
    os.link(path, tmp_path / "linked")
    with path.open("rb") as opened:
        assert workspace.remove() == Removal(1, ())
        assert opened.read() == b"content"
    assert (tmp_path / "linked").read_bytes() == b"content"
    assert not path.exists()


def test_where_directories_have_no_descriptors(root, tmp_path, monkeypatch):
    """The road that Windows takes, walked here as far as Linux lets it: by path, closed before it is removed."""
    monkeypatch.setattr(lease_module, "BY_DESCRIPTOR", False)
    workspace, orphan = Workspace.create(root), Workspace.create(root)
    assert sweep(root) == 0
    path, kept = put(workspace, "a"), put(workspace, "b")
    (workspace.directory / "extra").mkdir()
    part = PartFile(workspace, min_free=1)
    part.append(b"x")
    part.discard()
    assert workspace.keep(kept, tmp_path / "kept").read_bytes() == path.read_bytes() == b"content"
    assert workspace.remove() == Removal(1, ())
    orphan.let_go()
    assert sweep(root) == 1
    assert os.listdir(root) == []


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_error_is_one_line():
    for code in errno.errorcode:
        error = storage_error(OSError(code, os.strerror(code)), "what\never")
        assert str(error).isprintable()
        assert str(error).startswith("what\\never: ")
        assert error.errno == code
    assert str(storage_error(OSError())) == "OSError"


def test_what_may_help_to_try_again():
    """Others give descriptors and space back; a broken or forbidden disk stays so."""
    for code in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT):
        assert storage_error(OSError(code, "")).retryable
    for code in (errno.EIO, errno.EROFS, errno.EACCES, errno.ENOENT, None):
        assert not storage_error(OSError(code, "")).retryable


def test_repr_is_for_the_night(root):
    workspace = Workspace.create(root)
    assert repr(workspace) == f"<Workspace {workspace.directory}>"
    workspace.remove()
    assert repr(workspace) == f"<Workspace {workspace.directory} (over)>"


def test_killed_while_removing_a_deep_tree_is_found_again(quick_root):
    """There is no moment in a removal at which an orphan could not be told from a stranger's directory."""
    there, here = os.pipe()

    def remove():
        workspace = Workspace.create(quick_root)
        dig(workspace.directory, 300)
        os.write(here, b"x")
        workspace.remove()

    child = fork(remove)
    os.read(there, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(there)
    os.close(here)
    sweep(quick_root)
    assert os.listdir(quick_root) == []
