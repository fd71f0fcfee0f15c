"""The benchmark runs, tells each promise, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture
def benchmark(tmp_path):
    """Run it quickly, with a temporary directory of its own."""

    def run(*options):
        command = [sys.executable, BENCHMARKS, "--quick", "--out", tmp_path / "out", *options]
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(temporary)}
        )
        assert [*temporary.iterdir()] == []
        return done

    return run


def test_it_prints_and_writes_what_was_asked_for(benchmark, tmp_path):
    done = benchmark("--only", "P7")
    assert done.returncode == 0, done.stderr
    promises = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| P")]
    assert [row[0] for row in promises] == ["| P7"]
    assert {row[5] for row in promises} <= {"met", "MISSED", "aim met"}
    assert (tmp_path / "out" / "results.md").read_text("utf-8") == done.stdout


def test_it_says_which_rows_it_knows(benchmark):
    done = benchmark("--only", "P99")
    assert done.returncode == 2
    assert "P1, P2" in done.stderr
    assert "P13" in done.stderr
