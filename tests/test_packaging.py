"""What a package index shows is whole: description, addresses, classifiers, extras."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

import staging

ROOT = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
REPOSITORY = "https://git.example/people/staging"


def metadata(repository):
    """Return what hatchling makes of the project when the one variable says where the repository is."""
    if not (ROOT / "staging").is_dir():
        pytest.skip("beside the wheel there is no source, and with it no version")
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    config["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"] = repository
    return ProjectMetadata(str(ROOT), PluginManager(), config).core


@pytest.mark.parametrize("repository", ["", REPOSITORY, f"{REPOSITORY}/"])
def test_a_relative_link_is_in_nothing_that_an_index_shows(repository):
    core = metadata(repository)
    assert core.readme_content_type == "text/markdown"
    links = re.findall(r"\]\(([^)]*)\)|(?:href|src)=[\"']([^\"']*)", core.readme)
    assert links
    assert [link for link in links if not "".join(link).startswith("https://")] == []
    assert "Untrusted chat attachments" in core.readme


def test_one_variable_fills_the_address_in_everywhere():
    core = metadata(REPOSITORY)
    assert f"]({REPOSITORY}/raw/HEAD/tests/benchmarks/results.svg)" in core.readme
    assert f"`git clone {REPOSITORY}`" in core.readme
    assert "$REPOSITORY" not in core.readme
    assert set(core.urls) == {"Source", "Issues", "Changelog"}
    assert all(url.startswith(REPOSITORY) for url in core.urls.values())
    assert metadata("").urls == {}
    assert (ROOT / "pyproject.toml").read_text("utf-8").count("\nrepository = ") == 1


def test_every_classifier_is_known_and_every_python_is_in_the_workflow():
    """Hatchling refuses a classifier that the index would refuse."""
    told = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata("").classifiers))
    workflow = ROOT / ".github" / "workflows" / "ci.yml"
    if workflow.is_file():  # it is not beside the wheel
        assert sorted(set(re.findall(r'"(3\.\d+)"', workflow.read_text("utf-8")))) == told
    assert CONFIG["project"]["requires-python"] == f">={told[0]}"


def test_the_extra_for_all_is_all_extras():
    extras = CONFIG["project"]["optional-dependencies"]
    assert {"cli", "pdf", "documents", "text", "images", "heif", "all"} <= set(extras)
    (everything,) = extras["all"]
    assert set(re.search(r"\[(.*)\]", everything)[1].split(",")) == set(extras) - {"all"}


def test_every_example_says_what_it_needs():
    """`uv run` of an example installs that and no more, from this clone."""
    for path in (ROOT / "examples").glob("*.py"):
        block = re.match(r"# /// script\n((?:#.*\n)*?)# ///\n", path.read_text("utf-8"))
        assert block, path.name
        told = tomllib.loads(re.sub(r"^# ?", "", block[1], flags=re.MULTILINE))
        assert told["requires-python"] == CONFIG["project"]["requires-python"]
        assert told["dependencies"][0].partition("[")[0] == CONFIG["project"]["name"], path.name
        source = told["tool"]["uv"]["sources"][CONFIG["project"]["name"]]
        assert source == {"path": "..", "editable": True}


def test_import_says_so_when_the_files_of_two_projects_are_mixed(tmp_path):
    """The registry's own `staging` has modules such as config.py in the folder of the same name."""
    shutil.copytree(Path(staging.__file__).parent, tmp_path / "staging", ignore=shutil.ignore_patterns("__pycache__"))
    line = [sys.executable, "-c", "import staging; print(staging.__file__)"]
    clean = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert (clean.stdout, clean.stderr) == (f"{tmp_path}/staging/__init__.py\n", "")
    (tmp_path / "staging" / "config.py").touch()
    mixed = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "another project named `staging`" in mixed.stderr
    assert "(config.py): pip uninstall staging attachment-staging, then pip install attachment-staging" in mixed.stderr
