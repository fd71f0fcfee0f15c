"""The contributor's guide shows the house as it is."""

import re
from pathlib import Path
from typing import get_args

import mutation
import pytest
from test_layers import FLOORS

from staging._errors import REASONS, Reason

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / ".github" / "CONTRIBUTING.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="beside the wheel there is no guide")


def guide():
    return PAGE.read_text("utf-8")


def test_the_floors_are_those_that_the_layer_test_keeps():
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", guide(), re.MULTILINE)
    told = {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)/?`", names)}
    assert told == FLOORS


def test_every_file_that_it_names_is_there():
    paths = re.findall(r"(?<![\w/])((?:tests|staging|\.ci|\.github)/[\w./]+|\.pre-commit-config\.yaml)", guide())
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_a_reason_is_one_word_and_one_row():
    """As the guide says."""
    assert set(get_args(Reason)) == set(REASONS)


def test_the_full_command_is_the_readmes():
    assert "pip install uv && uv run pytest\n" in (ROOT / "README.md").read_text("utf-8")
    assert "\nuv run pytest  " in guide()


def test_what_the_hooks_run_is_there():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert [path for path in re.findall(r"tests/\w+\.py", hooks) if not (ROOT / path).is_file()] == []


def test_every_sabotage_finds_the_line_that_it_changes():
    """A line that was rewritten would otherwise lose its check without a word."""
    texts = {sabotage.file: (ROOT / "staging" / sabotage.file).read_text("utf-8") for sabotage in mutation.SABOTAGES}
    assert [s.purpose for s in mutation.SABOTAGES if texts[s.file].count(s.old) != 1] == []
