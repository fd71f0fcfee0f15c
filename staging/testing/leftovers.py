"""Tell what a test has left on the disk."""

import os
from collections.abc import Iterator

from staging._text import one_line


def assert_empty(root: str | os.PathLike[str]) -> None:
    """Pass if there is nothing under `root`, or no `root`.

    Raises:
        AssertionError: with the list of what was left, in the whole tree (symlinks are listed, not followed), or if
            `root` cannot be listed.
    """
    folder = os.fspath(root)
    try:
        left = sorted(one_line(path[len(folder) :].lstrip(os.sep)) for path in _tree(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise AssertionError(f"cannot list {one_line(folder)}: {error.strerror}") from error
    if left:
        more = [f"... and {len(left) - 100} more"] if len(left) > 100 else []
        raise AssertionError("\n  ".join([f"{len(left)} left in {one_line(folder)}:", *left[:100], *more]))


def _tree(root: str) -> Iterator[str]:
    folders = [root]  # no recursion: a test may have left a tree of 5,000 levels
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    yield entry.path
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # any other folder has been listed by its name
            if folder == root:
                raise
