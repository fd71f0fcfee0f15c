"""The group: its members read the staged files, list them, and do nothing else; no other user does anything."""

# ruff: noqa: PTH208

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from staging import AttachmentStage, StagingArea, UrlPolicy
from staging._disk.lease import Lease
from staging._disk.part import PartFile
from staging._disk.removal import Removal
from staging._disk.root import group_number, prepare_root, require_group
from staging._disk.sweep import sweep
from staging._disk.workspace import Workspace
from staging._errors import WorkspaceError

GROUP = 54_321
OUTSIDER = 65_534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to a group of which one is no member takes root")


@pytest.fixture
def place():
    """A directory to which every user gets through."""
    with tempfile.TemporaryDirectory(prefix="group-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def as_user(command, *groups):
    done = subprocess.run(
        command, user=OUTSIDER, group=OUTSIDER, extra_groups=groups, capture_output=True, text=True, check=False
    )
    return done.stdout or done.returncode


def staged(workspace, name="a.txt", content=b"content"):
    part = PartFile(workspace)
    part.append(content)
    return part.commit(name)


@AS_ROOT
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o777])
def test_modes_and_owner_whatever_the_umask(place, umask):
    before = os.umask(umask)
    try:
        root = prepare_root(place / "a" / "b", group=GROUP)
        workspace = Workspace.create(root, group=GROUP)
        path = staged(workspace)
    finally:
        os.umask(before)
    found = [place / "a", root, workspace.directory, path]
    assert [mode(each) for each in found] == [0o710, 0o710, 0o750, 0o640]
    assert {each.stat().st_gid for each in found} == {GROUP}
    assert workspace.remove() == Removal(1, ())


@AS_ROOT
def test_a_member_reads_and_another_user_does_not(place):
    workspace = Workspace.create(prepare_root(place / "root", group=GROUP), group=GROUP)
    path = staged(workspace)
    assert as_user(["cat", path], GROUP) == "content"
    assert as_user(["ls", workspace.directory], GROUP) == "a.txt\n"
    assert as_user(["cat", path]) == 1
    for command in (["rm", path], ["touch", workspace.directory / "b"], ["tee", path], ["ls", place / "root"]):
        assert as_user(command, GROUP) != 0
    assert path.read_bytes() == b"content"
    workspace.remove()


@AS_ROOT
def test_a_file_is_opened_to_the_group_only_when_it_is_complete(place):
    workspace = Workspace.create(prepare_root(place / "root", group=GROUP), group=GROUP)
    part = PartFile(workspace)
    part.append(b"half")
    assert as_user(["cat", workspace.directory / part._name], GROUP) == 1
    part.append(b" and half")
    assert as_user(["cat", part.commit("a")], GROUP) == "half and half"
    workspace.remove()


@AS_ROOT
def test_a_sweep_does_not_shut_the_group_out(place):
    """It looks at the living too, and made every directory that it opened private again."""
    root = prepare_root(place / "root", group=GROUP)
    workspace = Workspace.create(root, group=GROUP)
    assert sweep(root) == 0
    with pytest.raises(BlockingIOError):
        Lease(os.fspath(workspace.directory))
    assert mode(workspace.directory) == 0o750
    workspace.let_go()
    assert sweep(root) == 1


@AS_ROOT
def test_kept_files_keep_their_group(place):
    workspace = Workspace.create(prepare_root(place / "root", group=GROUP), group=GROUP)
    kept = workspace.keep(staged(workspace), place / "kept")
    assert (mode(kept), kept.stat().st_gid) == (0o640, GROUP)
    workspace.remove()


@AS_ROOT
def test_a_root_that_was_there_keeps_its_mode_and_it_is_said_when_it_shuts_the_group_out(place, caplog):
    root = place / "root"
    root.mkdir(0o700)
    for _ in range(2):
        prepare_root(root, group=GROUP)
    assert mode(root) == 0o700
    way = f"{root} does not let it through (chmod o+x, or chgrp and g+x)"
    assert [record.message for record in caplog.records] == [
        f"temp_dir {root} cannot be reached by group {GROUP}: {way}"
    ]
    caplog.clear()
    for right in (0o711, 0o701):
        root.chmod(right)
        prepare_root(root, group=GROUP)
    assert caplog.records == []


def test_a_group_that_this_process_is_no_member_of(place):
    """Neither the root that was to be made nor a workspace is left."""
    place.chmod(0o777 | stat.S_ISVTX)
    code = (
        "import sys, os, pathlib\nfrom staging._disk.root import prepare_root\n"
        "from staging._disk.workspace import Workspace\nfrom staging import WorkspaceError\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "place = pathlib.Path(sys.argv[1])\n"
        "for make, place in (prepare_root, place / 'new'), (Workspace.create, place):\n"
        "    try: make(place, group=54321)\n    except WorkspaceError as error: print(error.reason, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, place], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "storage files cannot be given to group 54321: this process is no member of it\n" * 2
    assert os.listdir(place) == []


def test_a_member_needs_no_privileges(place):
    own = os.getegid()
    workspace = Workspace.create(prepare_root(place / "root", group=own), group=own)
    path = staged(workspace)
    assert (mode(workspace.directory), mode(path), path.stat().st_gid) == (0o750, 0o640, own)
    workspace.remove()


def test_names_numbers_and_nonsense():
    import grp

    first = grp.getgrall()[0]
    assert group_number(first.gr_name) == first.gr_gid
    assert group_number(GROUP) == GROUP
    assert group_number(None) is None
    for unknown in ("no such group here", "\0", "\ud800", "1"):
        with pytest.raises(WorkspaceError, match="there is no group") as caught:
            group_number(unknown)
        assert str(caught.value).isprintable()
    for nonsense in (-1, 2**32 - 1, 2**40, ""):
        with pytest.raises(ValueError, match="group"):
            require_group(nonsense)
    for wrong in (True, 1.5, b"staff", ["staff"]):
        with pytest.raises(TypeError, match="group must be"):
            require_group(wrong)
    for right in (None, 0, "staff", GROUP):
        require_group(right)


# ── the scopes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@AS_ROOT
@pytest.mark.parametrize("scope", ["stage", "area"])
async def test_a_tool_that_runs_as_another_user_reads_what_the_prompt_names(place, scope):
    root = place / "root"

    async def use(stage):
        [file] = await stage.download(b"hello")
        assert (mode(stage.directory), mode(file.path)) == (0o750, 0o640)
        assert as_user(["cat", file.path], GROUP) == "hello"
        assert as_user(["cat", file.path]) == 1

    if scope == "stage":
        async with AttachmentStage(root, group=GROUP) as stage:
            await use(stage)
        assert stage.removed == 1
    else:
        async with StagingArea(root, group=GROUP) as area, area.stage() as stage:
            await use(stage)
    assert mode(root) == 0o710
    assert os.listdir(root) == []


@pytest.mark.parametrize("make", [AttachmentStage, StagingArea])
async def test_a_group_that_is_none_is_refused_before_anything_is_made(place, make):
    for nonsense, error in ((-1, ValueError), ("", ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="group"):
            make(place / "root", policy=UrlPolicy.discord(), group=nonsense)
    with pytest.raises(WorkspaceError, match="there is no group 'no such group here' on this machine"):
        async with make(place / "root", group="no such group here"):
            pass
    assert os.listdir(place) == []
