"""Law: no control, format, line or paragraph separator, surrogate, private-use or unassigned code point."""

import unicodedata

from hypothesis import given
from strategies import UNPRINTABLE, claims, fallbacks

from staging._claims.filenames import safe_name


@given(claims, fallbacks)
def test_every_character_is_printable(claim, fallback):
    name = safe_name(claim, fallback=fallback)
    assert not {unicodedata.category(char) for char in name} & UNPRINTABLE


@given(claims)
def test_the_only_space_is_the_one_on_the_keyboard(claim):
    """A path in a prompt or a shell is retyped; U+00A0 and U+202F do not survive that."""
    assert safe_name(claim).isprintable()
