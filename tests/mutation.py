"""Break the library in one place at a time, and see whether a test notices.

Run it from the repository: ``python tests/mutation.py [WORD]...``; with words, only the sabotages whose file or purpose
has one of them. It works in a copy, says what each sabotage was noticed by, and ends with the survivors. It is not part
of the suite, since it takes some minutes.

A sabotage takes away one thing that a line is there for. One that survives means a promise without a test, or a line
without a purpose. One whose text is not found any more, exactly once, is stale: mend it here.
"""

# ruff: noqa: E501, T201
# (quoted code stands as it is in its file; a script prints)

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
SECONDS = 240  # a sabotage that hangs the tests is noticed, too


class Sabotage(NamedTuple):
    """One change that a test must notice."""

    purpose: str  # what the line is there for
    file: str  # below staging/
    old: str  # found exactly once
    new: str
    tests: str  # arguments of pytest, separated by spaces


LEASE, SWEEP, WORKSPACE = "tests/test_lease.py", "tests/test_sweep.py", "tests/test_workspace.py"
ENDS, GROUP = "tests/test_ends.py", "tests/test_group.py"

DISK = [
    Sabotage(
        "a forked child never unlocks its parent's lease",
        "_disk/lease.py",
        "if self.held and os.getpid() == self._owner:",
        "if self.held:",
        LEASE,
    ),
    Sabotage(
        "letting go unlocks, whoever has a copy of the descriptor",
        "_disk/lease.py",
        "_unlock(self._locked)",
        "pass",
        ENDS,
    ),
    Sabotage(
        "a lock on a directory that lost its name is no lease",
        "_disk/lease.py",
        "if not is_at(path, self.directory):",
        "if False:",
        LEASE,
    ),
    Sabotage(
        "a sweep leaves the mode of the living alone",
        "_disk/lease.py",
        "self._locked = self.directory = open_directory(path)",
        "self._locked = self.directory = open_directory(path); own_mode(self.directory)",
        f"{ENDS} {GROUP}",
    ),
    Sabotage(
        "what cannot be locked is not held",
        "_disk/lease.py",
        "            if error.errno not in _UNSUPPORTED:\n                raise\n",
        "            self.held = True\n",
        LEASE,
    ),
    Sabotage(
        "no symbolic link is followed to a directory",
        "_disk/lease.py",
        '| getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)',
        '| getattr(os, "O_CLOEXEC", 0)',
        ENDS,
    ),
    Sabotage(
        "a failed lease leaves no descriptor",
        "_disk/lease.py",
        "            self.release()\n            raise",
        "            raise",
        LEASE,
    ),
    Sabotage(
        "what took the workspace's name is not removed",
        "_disk/removal.py",
        "if not is_at(path, directory):",
        "if not is_at(path, directory) and False:",
        WORKSPACE,
    ),
    Sabotage(
        "a removal can be stopped between two entries",
        "_disk/removal.py",
        "if self._stop():",
        "if False:",
        ENDS,
    ),
    Sabotage(
        "leftovers are bounded",
        "_disk/removal.py",
        "_MAX_LEFTOVERS = 100",
        "_MAX_LEFTOVERS = 1000",
        WORKSPACE,
    ),
    Sabotage(
        "a file that a worker makes meanwhile goes too",
        "_disk/removal.py",
        "if left or error is None or error.errno != errno.ENOTEMPTY:",
        "if True:",
        WORKSPACE,
    ),
    Sabotage(
        "what fails once is tried again",
        "_disk/removal.py",
        "            if not self._progress:\n                break",
        "            break",
        WORKSPACE,
    ),
    Sabotage(
        "modes that forbid the removal are repaired",
        "_disk/removal.py",
        "            own_mode(directory)\n            moved",
        "            moved",
        WORKSPACE,
    ),
    Sabotage(
        "moving a read-only directory takes its mode",
        "_disk/removal.py",
        "            own_mode(opened)\n",
        "",
        WORKSPACE,
    ),
    Sabotage(
        "no link is followed while a workspace is emptied",
        "_disk/removal.py",
        "entry.is_dir(follow_symlinks=False)",
        "entry.is_dir()",
        WORKSPACE,
    ),
    Sabotage(
        "depth costs no descriptors",
        "_disk/removal.py",
        "            os.close(directory)\n        self._rmdir",
        "            pass\n        self._rmdir",
        WORKSPACE,
    ),
    Sabotage(
        "without locks nothing is swept",
        "_disk/sweep.py",
        "if lease.held else None",
        "if True else None",
        SWEEP,
    ),
    Sabotage(
        "another user's directories are theirs to sweep",
        "_disk/sweep.py",
        "found.st_uid == os.geteuid()",
        "True",
        SWEEP,
    ),
    Sabotage(
        "a root in which every user can rename is not swept",
        "_disk/sweep.py",
        "if is_open_to_all(os.stat(root)):",
        "if False:",
        ENDS,
    ),
    Sabotage(
        "a sweep lets the lease go of what it could not remove",
        "_disk/sweep.py",
        "            finally:\n                lease.release()",
        "            finally:\n                pass",
        f"{SWEEP} {ENDS}",
    ),
    Sabotage(
        "a sweep stops between two entries",
        "_disk/sweep.py",
        "                if stop():\n                    break\n",
        "",
        ENDS,
    ),
    Sabotage(
        "a sweep says that there are no locks",
        "_disk/sweep.py",
        "unsure = unsure or gone is None",
        "unsure = False",
        ENDS,
    ),
    Sabotage(
        "only names that this library gave are swept",
        "_disk/root.py",
        "return match is not None and _check_sum(decoded[:_RANDOM_BYTES]) == decoded[_RANDOM_BYTES:]",
        "return match is not None",
        SWEEP,
    ),
    Sabotage(
        "a root that every user can write is refused",
        "_disk/root.py",
        "    if is_open_to_all(found):\n        detail",
        "    if False:\n        detail",
        WORKSPACE,
    ),
    Sabotage(
        "a root that is a link is refused",
        "_disk/root.py",
        "if stat.S_ISLNK(found.st_mode):",
        "if False:",
        WORKSPACE,
    ),
    Sabotage(
        "a root is tried out before anything is downloaded",
        "_disk/root.py",
        "        trial.mkdir(0o700)\n",
        "",
        WORKSPACE,
    ),
    Sabotage(
        "a warning about a root comes once",
        "_disk/root.py",
        "        _warned.add((message, os.fspath(root)))\n",
        "",
        WORKSPACE,
    ),
    Sabotage(
        "directories above the root are judged",
        "_disk/root.py",
        "for path in (root, *root.parents):",
        "for path in (root,):",
        WORKSPACE,
    ),
    Sabotage(
        "a root that cannot be given to the group is not left",
        "_disk/root.py",
        "            path.rmdir()\n            raise",
        "            raise",
        GROUP,
    ),
    Sabotage(
        "the group gets through the root",
        "_disk/root.py",
        "give_to_group(path, group, 0o710)",
        "give_to_group(path, group, 0o700)",
        GROUP,
    ),
    Sabotage(
        "the lease is let go when the removal has ended, whoever is inside",
        "_disk/workspace.py",
        "        finally:\n            self._lease.let_go()\n            self.leave()",
        "        finally:\n            self.leave()",
        ENDS,
    ),
    Sabotage(
        "a workspace that its owner does not want is removed",
        "_disk/workspace.py",
        "            workspace.remove()\n            raise",
        "            raise",
        ENDS,
    ),
    Sabotage(
        "a workspace is owned in the thread",
        "_disk/workspace.py",
        "                own(workspace)\n",
        "                pass\n",
        ENDS,
    ),
    Sabotage(
        "a directory without a lease is not left",
        "_disk/workspace.py",
        "    except BaseException:\n        with suppress(OSError):\n            directory.rmdir()",
        "    except OSError:\n        with suppress(OSError):\n            directory.rmdir()",
        ENDS,
    ),
    Sabotage(
        "a descriptor stays open while a worker is inside",
        "_disk/workspace.py",
        "last = not self._inside",
        "last = self.over",
        f"{WORKSPACE} {ENDS}",
    ),
    Sabotage(
        "a workspace that its body closed is opened again",
        "_disk/workspace.py",
        "                own_mode(self.descriptor)\n            files",
        "                pass\n            files",
        WORKSPACE,
    ),
    Sabotage(
        "a forked child removes nothing",
        "_disk/workspace.py",
        "        if os.getpid() != self.owner:\n            return Removal(0, ())",
        "        if False:\n            return Removal(0, ())",
        f"{WORKSPACE} {ENDS}",
    ),
    Sabotage(
        "nothing new begins when the lease is gone",
        "_disk/workspace.py",
        "removing, self.over = self.over, True",
        "removing = self.over",
        ENDS,
    ),
    Sabotage(
        "a finalizer does not wait for its own thread",
        "_disk/workspace.py",
        "threading.RLock()",
        "threading.Lock()",
        ENDS,
    ),
    Sabotage(
        "a closed descriptor's number is not used",
        "_disk/workspace.py",
        "            if not self._inside:\n                return\n            self._inside += 1\n        self._unlink",
        "            self._inside += 1\n        self._unlink",
        WORKSPACE,
    ),
    Sabotage(
        "staged files are counted",
        "_disk/workspace.py",
        "                self._staged[name] = None\n",
        "",
        WORKSPACE,
    ),
    Sabotage(
        "a sweep may take a half-made directory",
        "_disk/workspace.py",
        "_ATTEMPTS = 100",
        "_ATTEMPTS = 1",
        WORKSPACE,
    ),
    Sabotage(
        "a file system without locks is told of",
        "_disk/workspace.py",
        "                warn_of_no_locks(root)\n",
        "                pass\n",
        ENDS,
    ),
    Sabotage(
        "what was kept is told in the thread",
        "_disk/workspace.py",
        "            kept(target)\n",
        "            pass\n",
        ENDS,
    ),
    Sabotage(
        "a late worker removes its file",
        "_disk/part.py",
        "self._over or self._workspace.over",
        "self._over",
        ENDS,
    ),
    Sabotage(
        "an abandoned worker cleans up as it leaves",
        "_disk/part.py",
        "        if over:\n            self._let_go()",
        "        if False:\n            self._let_go()",
        WORKSPACE,
    ),
    Sabotage(
        "nothing is taken from under a worker",
        "_disk/part.py",
        "        if not busy:\n",
        "        if True:\n",
        WORKSPACE,
    ),
    Sabotage(
        "a staged file is the group's",
        "_disk/part.py",
        "            give_to_group(descriptor, self._workspace.group, 0o640)",
        "            pass",
        GROUP,
    ),
    Sabotage(
        "reading the head does not move the end",
        "_disk/part.py",
        "            os.lseek(self._fd, 0, os.SEEK_END)\n",
        "",
        ENDS,
    ),
    Sabotage(
        "a name is never taken from another file",
        "_disk/moving.py",
        "        os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)",
        "        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)",
        WORKSPACE,
    ),
    Sabotage(
        "without hard links a name is looked at first",
        "_disk/moving.py",
        "            os.stat(target, dir_fd=target_fd, follow_symlinks=False)\n            raise FileExistsError",
        "            raise FileNotFoundError",
        WORKSPACE,
    ),
    Sabotage(
        "a copy that was given up leaves nothing",
        "_disk/moving.py",
        "            hidden.unlink()\n",
        "            pass\n",
        f"{ENDS} {WORKSPACE}",
    ),
    Sabotage(
        "a copy can be given up",
        "_disk/moving.py",
        "            if stop():\n",
        "            if False:\n",
        ENDS,
    ),
    Sabotage(
        "a copy is on the disk before its original goes",
        "_disk/moving.py",
        "    os.fsync(writer)\n",
        "",
        WORKSPACE,
    ),
    Sabotage(
        "a copy has the mode of its original",
        "_disk/moving.py",
        "        os.fchmod(writer, stat.S_IMODE(found.st_mode) & mode)\n",
        "",
        ENDS,
    ),
    Sabotage(
        "no pipe is taken for a file",
        "_disk/moving.py",
        "if stat.S_ISREG(os.fstat(descriptor).st_mode):",
        "if True:",
        ENDS,
    ),
]

SCOPE, FAIR, CANCEL, STAGE = (
    "tests/test_scope.py",
    "tests/test_fairness.py",
    "tests/test_faults_cancel.py",
    "tests/test_stage.py",
)

LIFE = [
    Sabotage(
        "an ending has a task of its own",
        "_threads.py",
        "        return await _outlast_on_asyncio(loop, function, args, loop.time() + seconds)",
        "        return await function(*args)",
        SCOPE,
    ),
    Sabotage(
        "an ending is awaited again after each cancellation",
        "_threads.py",
        "            cancelled = error\n    return cancelled",
        "            return error\n    return cancelled",
        SCOPE,
    ),
    Sabotage(
        "the cancellation is raised when the ending is done",
        "_threads.py",
        "        raise cancelled\n",
        "        pass\n",
        SCOPE,
    ),
    Sabotage(
        "an ending is begun again when the loop cancels every task", "_threads.py", "_AGAIN = 3", "_AGAIN = 1", SCOPE
    ),
    Sabotage(
        "a cancelled caller waits for its thread",
        "_threads.py",
        "        if not abandon:\n",
        "        if False:\n",
        f"{SCOPE} {CANCEL}",
    ),
    Sabotage(
        "a job of a cancelled download that has not begun never begins",
        "_threads.py",
        "        if self.wanted:",
        "        if True:",
        "tests/test_threads.py",
    ),
    Sabotage(
        "a trip takes along what comes while it is under way",
        "_threads.py",
        "            while self._waiting and len(done) < _JOBS:  # those too that come meanwhile",
        "            for _ in range(len(self._waiting)):",
        "tests/test_threads.py",
    ),
    Sabotage(
        "what came too late for a trip has the next one",
        "_threads.py",
        "            if self._waiting:\n                self._depart(0)\n",
        "",
        "tests/test_threads.py",
    ),
    Sabotage(
        "idle threads end",
        "_threads.py",
        "                        return\n                continue",
        "                        pass\n                continue",
        SCOPE,
    ),
    Sabotage(
        "calls are cancelled at exit", "_scope.py", "                call.scope.cancel()", "                pass", SCOPE
    ),
    Sabotage(
        "calls in flight are awaited before removal",
        "_stage.py",
        "                await call.ended.wait()",
        "                pass",
        SCOPE,
    ),
    Sabotage(
        "removal begins whatever still runs",
        "_stage.py",
        "        with anyio.move_on_after(REMOVAL_SECONDS * CALLS_SHARE):",
        "        with anyio.move_on_after(60):",
        SCOPE,
    ),
    Sabotage("a call that ends its own scope is not waited for", "_scope.py", "if call not in mine))", "))", SCOPE),
    Sabotage(
        "an entry that fails gives up what it made",
        "_scope.py",
        "            await self.aclose()\n            raise",
        "            raise",
        SCOPE,
    ),
    Sabotage(
        "a workspace that comes too late is not kept",
        "_stage.py",
        "            if self._over:\n",
        "            if False:\n",
        SCOPE,
    ),
    Sabotage(
        "a forgotten scope gives up what it has",
        "_scope.py",
        "        holdings.drop()\n        warnings",
        "        warnings",
        SCOPE,
    ),
    Sabotage(
        "a forgotten scope is told",
        "_scope.py",
        "        warnings.warn(what, ResourceWarning, stacklevel=2)",
        "        pass",
        SCOPE,
    ),
    Sabotage("a forked child takes nothing", "_scope.py", "    if os.getpid() == owner:", "    if True:", SCOPE),
    Sabotage(
        "an observer that raises at exit changes nothing",
        "_scope.py",
        "    with suppress(BaseException):\n        function(*args)",
        "    function(*args)",
        SCOPE,
    ),
    Sabotage(
        "a hung removal lets the lease go",
        "_stage.py",
        '        self._mine.let_go()\n        return Removal(0, ((".", f"removal took',
        '        return Removal(0, ((".", f"removal took',
        SCOPE,
    ),
    Sabotage(
        "a kept file's outcome says where it is, also when that was cancelled",
        "_stage.py",
        "                self._ledger.move(path, moved[0])",
        "                pass",
        f"{SCOPE} {STAGE}",
    ),
    Sabotage(
        "the bytes of a stage go back at its end",
        "_stage.py",
        "        self._mine.refund()\n        if",
        "        if",
        f"{SCOPE} {FAIR} {STAGE}",
    ),
    Sabotage(
        "an area closes its stages",
        "_area.py",
        "                group.start_soon(stage.aclose)",
        "                pass",
        f"{SCOPE} {STAGE}",
    ),
    Sabotage("leaving stops the sweep", "_resources.py", "        self.sweep.stop()\n", "", SCOPE),
    Sabotage(
        "a failed file does not count for max_files",
        "_batch.py",
        "        except BaseException:\n            ledger.taken -= 1\n",
        "        except BaseException:\n",
        SCOPE,
    ),
    Sabotage(
        "a failed download gives its bytes back",
        "_batch.py",
        "            reservation.refund()\n            raise",
        "            raise",
        f"{FAIR} {STAGE} tests/test_faults_process.py",
    ),
    Sabotage(
        "what waits for the same request goes on when its call ends",
        "_batch.py",
        "                fetch.running = False\n",
        "",
        FAIR,
    ),
    Sabotage(
        "a download that the clock has ended is a failure of its own, and its worker goes on",
        "_batch.py",
        "            with clock.wind():",
        "            with clock.scope:",
        "tests/test_clock.py",
    ),
    Sabotage(
        "what a clock ends is the outcome of all that wait for it",
        "_batch.py",
        "                failed = clock.error or error",
        "                failed = error",
        "tests/test_clock.py",
    ),
    Sabotage(
        "a clock that is not started ends nothing",
        "_clock.py",
        "        self._end = self._since = _NEVER\n        if",
        "        if",
        "tests/test_clock.py",
    ),
    Sabotage(
        "the wait for our own disk is not the peer's silence",
        "_clock.py",
        "        self._waits_for_disk = True\n",
        "",
        "tests/test_clock.py tests/test_faults_disk.py",
    ),
    Sabotage(
        "who is evicted ends at once",
        "_clock.py",
        "            self._cancel(self._reservation.refused)",
        "            pass",
        f"tests/test_clock.py {FAIR}",
    ),
    Sabotage("the last progress is told", "_batch.py", "                    progress.flush()\n", "", FAIR),
    Sabotage(
        "refresh counts in the deadline",
        "_batch.py",
        "            with anyio.move_on_after(self._seconds):\n                self._renewed = await self._refreshed()\n",
        "            self._renewed = await self._refreshed()\n            with anyio.move_on_after(self._seconds):\n",
        SCOPE,
    ),
    Sabotage(
        "a call that ends by itself cancels nothing in its caller's task",
        "_batch.py",
        "clock, watching.cancel)",
        "clock, group.cancel_scope.cancel)",
        SCOPE,
    ),
    Sabotage(
        "a cancelled call leaves no failure that may not last",
        "_batch.py",
        "            for key in self._passing:\n",
        "            for key in ():\n",
        FAIR,
    ),
    Sabotage(
        "an unwanted file goes, cancelled or not",
        "_batch.py",
        "await in_thread(terms.workspace.unlink, ",
        "await terms.disk.run(terms.workspace.unlink, ",
        "tests/test_sources.py",
    ),
    Sabotage(
        "bytes that came while the process stood still count before the time is looked at",
        "_clock.py",
        "range(_ROUNDS)",
        "range(0)",
        "tests/test_clock.py",
    ),
    Sabotage(
        "a full pool gives up its oldest connection",
        "_net/transport.py",
        "self._idle.pop(0)",
        "self._idle.pop()",
        "tests/test_matrices.py",
    ),
    Sabotage(
        "a connection of another loop is not used again",
        "_net/readiness.py",
        "return self._loop is None or self._loop is loop_of_asyncio()",
        "return True",
        "tests/test_readiness.py",
    ),
    Sabotage(
        "asyncio is seen where trio is its guest",
        "_threads.py",
        "in_trio_task is not None and in_trio_task()",
        "in_trio_task is not None and sys.modules['trio'].lowlevel.in_trio_run()",
        "tests/test_threads.py",
    ),
    Sabotage(
        "nothing is kept of a server whose downloads have ended",
        "_turns.py",
        "            del self._lent_of[turn.server]",
        "            pass",
        FAIR,
    ),
    Sabotage(
        "an end wakes one that waits for a descriptor, and not all",
        "_turns.py",
        "            self._idling.popleft().set()",
        "            while self._idling:\n                self._idling.popleft().set()",
        "tests/test_scarcity.py",
    ),
    Sabotage(
        "an end wakes one that waits for a descriptor",
        "_turns.py",
        "            self._idling.popleft().set()",
        "            pass",
        f"{FAIR} tests/test_scarcity.py",
    ),
    Sabotage(
        "what waits for a descriptor holds no bytes",
        "_batch.py",
        "                    reservation.settle(0)  # what had come is deleted\n",
        "",
        "tests/test_scarcity.py",
    ),
    Sabotage(
        "the name of a file that was given up is free again",
        "_disk/part.py",
        "            self._workspace.release(claimed)",
        "            pass",
        WORKSPACE,
    ),
    Sabotage(
        "nothing is asked for that follows the last byte",
        "_download.py",
        " and self.part.size + filled < (length or 0)",
        "",
        "tests/test_matrices.py",
    ),
    Sabotage(
        "the coding of a continuation is judged",
        "_download.py",
        "        if applied and applied != self._version.codings and not self._codes_nothing(applied):",
        "        if False:",
        "tests/test_matrices.py",
    ),
    Sabotage(
        "what a server's silence holds back is told",
        "_clock.py",
        "        self.on_look()\n",
        "",
        FAIR,
    ),
    Sabotage(
        "a cancelled task of the caller's own is no cancellation of ours",
        "_threads.py",
        '        raise RuntimeError("what it waited for was cancelled") from error',
        "        raise",
        "tests/test_sources.py",
    ),
    Sabotage(
        "a name needs no codec in a process without descriptors",
        "_claims/disposition.py",
        "    except (UnicodeDecodeError, LookupError, OSError):",
        "    except UnicodeDecodeError:",
        "tests/test_scarcity.py",
    ),
    Sabotage(
        "another accept does not ask again",
        "_batch.py",
        "            fetches.setdefault((request, None), fetch)  # also for calls that want all types",
        "            pass",
        "tests/test_sources.py",
    ),
    Sabotage(
        "a copy that is given up while the disk writes it is not kept",
        "_disk/moving.py",
        "    if stop():  # to write many megabytes to the disk takes seconds",
        "    if False:",
        ENDS,
    ),
    Sabotage(
        "a turn of a cancelled download goes to the next one",
        "_turns.py",
        "        except BaseException:\n            self.line.turns.end(self)\n            raise",
        "        except BaseException:\n            raise",
        FAIR,
    ),
    Sabotage(
        "lines are served in turn",
        "_turns.py",
        "        self._lines.remove(line)\n        if line.waiting:\n            self._lines.append(line)\n        turn.waits",
        "        if not line.waiting:\n            self._lines.remove(line)\n        turn.waits",
        FAIR,
    ),
    Sabotage("a slow download lends its turn", "_turns.py", "            self._lend()\n", "            pass\n", FAIR),
    Sabotage("a line does not borrow from itself", "_turns.py", "self._next(turn.line.held)", "self._next()", FAIR),
    Sabotage(
        "silent links reserve nothing",
        "_budget.py",
        "        self._make_room(max(size - self.held, 0 if self.held else 1), known=size > 0)",
        "        self._make_room(max(size - self.held, 0 if self.held else 1), known=size > 0)\n        self.settle(max(size, self.held))",
        FAIR,
    ),
    Sabotage(
        "who asked for most gives way",
        "_budget.py",
        "                largest.evict(_full(budget))",
        "                raise _full(budget)",
        FAIR,
    ),
    Sabotage(
        "a finished download keeps its bytes",
        "_budget.py",
        "        self.settle(size)\n        for budget in self._budgets:\n            budget.running.discard(self)\n",
        "        self.settle(size)\n",
        FAIR,
    ),
    Sabotage(
        "the workspace of a stage is its group's",
        "_stage.py",
        "resources.root, resources.group)",
        "resources.root, None)",
        GROUP,
    ),
    Sabotage("an area gives its files to the group", "_area.py", "            group=group,\n", "", GROUP),
]

SABOTAGES = [*DISK, *LIFE]


def copy_repository(place: Path) -> None:
    """Copy what the tests need."""
    for name in ("staging", "tests", "examples"):
        shutil.copytree(REPOSITORY / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, place)


def noticed_by(place: Path, sabotage: Sabotage) -> str | None:
    """Return what noticed the sabotage, or None.

    Raises:
        LookupError: if its text is not there exactly once.
    """
    path = place / "staging" / sabotage.file
    source = path.read_text("utf-8")
    if source.count(sabotage.old) != 1:
        raise LookupError(f"{source.count(sabotage.old)} places in {sabotage.file} have {sabotage.old!r}")
    path.write_text(source.replace(sabotage.old, sabotage.new), "utf-8")
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *sabotage.tests.split()]
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it hangs"
    finally:
        path.write_text(source, "utf-8")
    if not done.returncode:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else "the tests do not run"


def main(words: list[str]) -> int:
    """Try all sabotages that have one of the words; return the exit code."""
    chosen = [s for s in SABOTAGES if not words or any(word in s.file or word in s.purpose for word in words)]
    survivors, stale = [], []
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        place = Path(name)
        place.chmod(0o755)
        copy_repository(place)
        for sabotage in chosen:
            begin = time.monotonic()
            try:
                noticed = noticed_by(place, sabotage)
            except LookupError as error:
                stale.append(f"{sabotage.purpose}: {error}")
                continue
            if noticed is None:
                survivors.append(f"{sabotage.file}: {sabotage.purpose}")
            print(f"{time.monotonic() - begin:5.1f} s  {noticed or 'SURVIVES':60} {sabotage.purpose}", flush=True)
    print(f"{len(chosen)} sabotages, {len(survivors)} survivors, {len(stale)} stale")
    print(*survivors, *stale, sep="\n")
    return 1 if survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
