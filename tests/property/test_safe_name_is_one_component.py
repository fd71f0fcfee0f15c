"""Law: a safe name has no separator of any platform, and comes from the last component of a path."""

import ntpath
import posixpath

from hypothesis import given
from hypothesis import strategies as st
from strategies import claims, fallbacks, ordinary_names

from staging._claims.filenames import safe_name


@given(claims, fallbacks)
def test_one_component_on_every_platform(claim, fallback):
    name = safe_name(claim, fallback=fallback)
    assert posixpath.basename(name) == name
    assert ntpath.basename(name) == name
    assert ntpath.splitdrive(name)[0] == ""


@given(claims, st.sampled_from("/\\"), ordinary_names, st.text("/\\", max_size=3))
def test_the_last_component_that_is_not_empty_counts(folder, separator, name, trailing):
    assert safe_name(folder + separator + name + trailing) == name
