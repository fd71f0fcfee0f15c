"""Law: a safe name of a safe name is itself."""

from hypothesis import given
from strategies import claims, fallbacks, long_names

from staging._claims.filenames import safe_name


@given(claims, fallbacks)
def test_idempotent(claim, fallback):
    name = safe_name(claim, fallback=fallback)
    assert safe_name(name) == name


@given(long_names)
def test_idempotent_on_long_names(long_name):
    name = safe_name(long_name[0])
    assert safe_name(name) == name
