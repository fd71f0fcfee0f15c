"""Law: a safe name is in NFC."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from strategies import claims, fallbacks

from staging._claims.filenames import safe_name


@given(claims, fallbacks)
def test_nfc(claim, fallback):
    assert unicodedata.is_normalized("NFC", safe_name(claim, fallback=fallback))


@given(st.text("e\u1100\u1161\u0301\u200b", max_size=8))
def test_nfc_where_what_stood_between_has_vanished(claim):
    assert unicodedata.is_normalized("NFC", safe_name(claim))


@given(claims)
def test_equivalent_claims_give_one_name(claim):
    """Below the length where a claim is cut before it is normalised."""
    assert safe_name(unicodedata.normalize("NFC", claim[:100])) == safe_name(claim[:100])
