"""`help(staging)` answers: every public name says what it is, and what each parameter and field means."""

import inspect
import pydoc
import re
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import get_args

import pytest

import staging
from staging import llm, testing

PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name) for module in (staging, llm, testing) for name in module.__all__
}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}


def methods_of(cls):
    """Return the public methods that this library wrote, inherited ones included; no properties."""
    found = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
    return {
        name: method
        for name, method in found.items()
        if (inspect.isfunction(method) or inspect.ismethod(method)) and method.__module__.startswith("staging")
    }


FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)} | {
    f"{owner}.{name}": method for owner, cls in CLASSES.items() for name, method in methods_of(cls).items()
}
DOCUMENTED = CLASSES | FUNCTIONS


def described(value):
    """Return the names that a docstring describes: those in its section, or if it has none, those in code font.

    With those of the function or class to which it refers for the rest ("as `anthropic_blocks`").
    """
    doc = inspect.getdoc(value) or ""
    listed = re.findall(r"^ {4}\**(\w+): \S", doc, re.MULTILINE)
    named = [] if re.search("^(Args|Attributes):$", doc, re.MULTILINE) else re.findall(r"`(\w+)`", doc)
    names = re.findall(r"as `(\w+)`", doc)
    others = [PUBLIC.get(f"{module}.{name}") for name in names for module in ("staging", "staging.llm")]
    return {*listed, *named}.union(*(described(other) for other in others if other))


def test_there_is_something_to_judge():
    assert {"staging.sweep", "staging.AttachmentStage.download", "staging.UrlPolicy.only"} <= set(FUNCTIONS)
    assert {"staging.llm.prompt", "staging.testing.FakeCDN.serve", "staging.Skipped.as_dict"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_a_public_name_has_a_docstring(name):
    """Its first line is a sentence, and not the signature that a dataclass gets for want of one."""
    first = (inspect.getdoc(DOCUMENTED[name]) or "").partition("\n")[0]
    assert re.match(r"[A-Z].*[.:]", first), first
    assert not first.startswith(f"{name.rpartition('.')[2]}(")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_parameter_is_described(name):
    parameters = set(inspect.signature(FUNCTIONS[name]).parameters) - {"self"}
    assert parameters - described(FUNCTIONS[name]) == set()


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_field_is_described(name):
    """What a constructor takes, and what a value holds, stands in the class's own docstring: `help` shows no other."""
    cls = CLASSES[name]
    held = [field.name for field in fields(cls)] if is_dataclass(cls) else []
    taken = inspect.signature(cls).parameters if "__init__" in vars(cls) else []
    assert {*held, *taken} - described(cls) == set()


def test_every_reason_is_explained_where_help_shows_it():
    """`help` shows no more of an alias than its name; a failure's own page has the list."""
    told = inspect.getdoc(staging.Failure) or ""
    listed = "\n".join(line for line in told.splitlines() if line.startswith("* ``"))
    assert [reason for reason in get_args(staging.Reason) if f"``{reason}``" not in listed] == []


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_property_is_described(name):
    properties = inspect.getmembers_static(CLASSES[name], lambda member: isinstance(member, property | cached_property))
    assert [key for key, value in properties if not (key.startswith("_") or value.__doc__)] == []


def test_help_shows_the_public_names_as_such():
    """No public class or function is shown under the private module that it lives in."""
    text = pydoc.plain(pydoc.render_doc(staging))
    assert [name for name in staging.__all__ if name not in text] == ["__version__"]
    assert f"VERSION\n    {staging.__version__}\n" in text
    homes = {name: value.__module__ for name, value in PUBLIC.items() if name in DOCUMENTED}
    assert {name: home for name, home in homes.items() if home != name.rpartition(".")[0]} == {}
    assert {"staging.llm", "staging.testing"} <= set(re.findall(r"staging\.\w+", text))
