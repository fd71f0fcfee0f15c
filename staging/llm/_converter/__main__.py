"""Run the converter as a program.

It does one task, or it is the fork server. A task has its name and its options as JSON in the arguments, and the file
on stdin.

It is run by its path, since to import `staging` costs more than most conversions. Two empty packages take the place of
`staging` and `staging.llm`. So the modules here are found under their own names, and nothing else is.
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
    """Do one task, and write frames to stdout."""
    from staging.llm._converter.sandbox import Sandbox, library_folders  # noqa: PLC0415  # only now the walls stand
    from staging.llm._converter.tasks import run  # noqa: PLC0415

    sandbox = Sandbox(library_folders())
    run(task, sys.stdin.buffer, sys.stdout.buffer, json.loads(options), sandbox.enter)


def serve(control: str, parent: str) -> None:
    """Fork a process for each job from the socket numbered `control`."""
    import socket  # noqa: PLC0415  # as below

    from staging.llm._converter.server import Server  # noqa: PLC0415  # only now the walls stand

    Server(socket.socket(fileno=int(control)), int(parent)).serve()


if __name__ == "__main__":
    _build_walls()
    if sys.argv[1] == "--serve":
        serve(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
