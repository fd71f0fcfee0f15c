"""Law: ordinary names in any script come back unchanged."""

from hypothesis import given
from strategies import claims, ordinary_names

from staging._claims.filenames import safe_name


@given(ordinary_names)
def test_unchanged(name):
    assert safe_name(name) == name


@given(ordinary_names, claims)
def test_the_fallback_is_not_looked_at(name, fallback):
    assert safe_name(name, fallback=fallback) == name
