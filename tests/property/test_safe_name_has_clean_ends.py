"""Law: no leading `-`, `.`, `~` or space, no trailing dot or space."""

from hypothesis import given
from hypothesis import strategies as st
from strategies import claims, fallbacks, long_names

from staging._claims.filenames import safe_name

ENDS = st.text(" .-~\u200b\xa0\u3000\n\u2028", max_size=4)


@given(ENDS, claims, ENDS, fallbacks)
def test_clean_ends(before, claim, after, fallback):
    name = safe_name(before + claim + after, fallback=fallback)
    assert name[0] not in "-.~ "
    assert name[-1] not in ". "


@given(st.integers(140, 151), st.text(" .", min_size=1, max_size=8))
def test_clean_end_where_it_is_cut(letters, end):
    assert safe_name("x" * letters + end + "y" * 40)[-1] not in ". "


@given(long_names, ENDS)
def test_clean_ends_of_long_names(long_name, after):
    assert safe_name(long_name[0] + after)[-1] not in ". "
