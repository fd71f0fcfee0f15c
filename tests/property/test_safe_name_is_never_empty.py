"""Law: a safe name is never empty, `.` or `..`, whatever the claim and the fallback are."""

from hypothesis import given
from strategies import claims, fallbacks

from staging._claims.filenames import safe_name


@given(claims, fallbacks)
def test_never_empty_nor_a_dot_name(claim, fallback):
    assert safe_name(claim, fallback=fallback) not in {"", ".", ".."}


@given(fallbacks)
def test_no_claim_is_answered_by_a_lawful_fallback(fallback):
    assert safe_name(None, fallback=fallback) == safe_name("", fallback=fallback) == safe_name(fallback)
