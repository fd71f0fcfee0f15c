"""Law: none of ``<>:"|?*`$';&`` and no newline."""

from hypothesis import given
from strategies import FORBIDDEN, claims, fallbacks

from staging._claims.filenames import safe_name


@given(claims, fallbacks)
def test_no_syntax(claim, fallback):
    assert not set(safe_name(claim, fallback=fallback)) & FORBIDDEN
