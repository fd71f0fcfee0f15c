"""What type checkers see of the installed package in its users' programs: right uses pass, wrong ones are flagged."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "typing"
NAMES = sorted(path.name for path in PROGRAMS.glob("*.py"))


@pytest.fixture
def desk(tmp_path):
    """A folder with the programs and nothing else: there, `staging` can only be the installed one."""
    return shutil.copytree(PROGRAMS, tmp_path / "desk")


def run(folder, tool, *arguments):
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is in the dependency group `lint`, which is not installed here")
    # pyright looks for packages by the `python` on PATH, as in an activated environment
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", tool, *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300, check=False
    )


def test_mypy_passes_right_uses_and_flags_wrong_ones(desk):
    """A wrong use bears `type: ignore`, and one that ignores nothing is an error itself."""
    done = run(desk, "mypy", "--config-file=", "--strict", "--warn-unused-ignores", "--cache-dir=cache", *NAMES)
    assert (done.returncode, done.stdout) == (0, f"Success: no issues found in {len(NAMES)} source files\n"), done


def test_pyright_agrees(desk):
    """The other checker passes the right uses and flags the same lines."""
    rules = {"typeCheckingMode": "strict", "enableTypeIgnoreComments": True}
    (desk / "pyrightconfig.json").write_text(json.dumps({**rules, "reportUnnecessaryTypeIgnoreComment": "error"}))
    report = json.loads(run(desk, "pyright", "--outputjson").stdout)
    found = [f"{d['file']}:{d['range']['start']['line'] + 1} {d['message']}" for d in report["generalDiagnostics"]]
    assert found == []
    assert report["summary"]["filesAnalyzed"] == len(NAMES)


def test_every_public_type_is_known(desk):
    """`pyright --verifytypes` finds a type and a docstring for everything public: 100 %."""
    report = json.loads(run(desk, "pyright", "--verifytypes", "staging", "--ignoreexternal", "--outputjson").stdout)
    completeness = report["typeCompleteness"]
    assert [s["name"] for s in completeness["symbols"] if s["isExported"] and not s["isTypeKnown"]] == []
    assert completeness["completenessScore"] == 1
    assert completeness["missingFunctionDocStringCount"] == completeness["missingClassDocStringCount"] == 0
