"""The converter as a program: a task and its options as JSON, the file on stdin, frames on stdout.

It is run by its path, since to import `staging` costs more than most conversions: two empty packages stand for the
house, so that the modules here are found under their own names and nothing else is.
"""

import json
import os
import sys
import types


def _build_walls() -> None:
    llm = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # pathlib costs 10 ms
    for name, folder in (("staging", os.path.dirname(llm)), ("staging.llm", llm)):  # noqa: PTH120
        package = types.ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package


def main(task: str, options: str) -> None:
    """Do one task."""
    _build_walls()
    from staging.llm._converter.tasks import run  # noqa: PLC0415  # there is no way to it before the walls stand

    run(task, sys.stdin.buffer, sys.stdout.buffer, json.loads(options))


if __name__ == "__main__":
    main(*sys.argv[1:])
