"""Law: a name changes if and only if it breaks a law, and what comes out breaks none."""

from hypothesis import example, given
from hypothesis import strategies as st
from name_laws import HOSTILE, broken_laws
from strategies import claims, fallbacks, ordinary_names

from staging._claims.filenames import UniqueNames, safe_name

known = st.sampled_from([name for names in HOSTILE.values() for name in names])


@given(claims | known | ordinary_names, fallbacks)
@example("NUL ", "")
@example("\u0301", "")
def test_a_name_changes_if_and_only_if_it_breaks_a_law(claim, fallback):
    name = safe_name(claim, fallback=fallback)
    assert not broken_laws(name)
    assert (name == claim) == (not broken_laws(claim))


@given(st.lists(claims | known | ordinary_names, max_size=8))
def test_a_numbered_name_breaks_no_law_either(names):
    unique = UniqueNames()
    assert not any(broken_laws(unique.claim(safe_name(name))) for name in names * 2)
