"""Law: at most 150 bytes of UTF-8, cut between user-perceived characters, the extension kept."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from strategies import MAX_BYTES, claims, extensions, fallbacks, long_names

from staging._claims.filenames import safe_name


@given(claims, fallbacks)
def test_at_most_150_bytes(claim, fallback):
    assert 1 <= len(safe_name(claim, fallback=fallback).encode()) <= MAX_BYTES


@given(long_names)
def test_the_extension_is_kept(long_name):
    name, extension = long_name
    assert safe_name(name).endswith(extension)


@given(long_names)
def test_a_cut_name_is_the_head_of_the_claim_and_uses_the_room(long_name):
    name, extension = long_name
    name = unicodedata.normalize("NFC", name)
    stem = safe_name(name).removesuffix(extension)
    assert name.startswith(stem)
    if len(name.encode()) > MAX_BYTES:
        assert len((stem + extension).encode()) > MAX_BYTES - 10


@given(
    st.text("ab", max_size=9),
    st.sampled_from(
        ("a\u0316", "e\u0316\u0323\u0347", "กำ", "👍🏽", "🇫🇷", "ｶﾞ", "\u1100\u1161\u11ff", "कि", "葛\U000e0100")
    ),
    extensions,
)
def test_no_character_is_cut_in_two(before, character, extension):
    """Marks, skin tones, flags, jamo and vowel signs stay with what they belong to, wherever the cut falls."""
    character = unicodedata.normalize("NFC", character)
    kept = safe_name(before + character * 80 + extension).removesuffix(extension).removeprefix(before)
    assert kept == character * (len(kept) // len(character))


@given(st.sampled_from("\u0301\u0316\u20dd"), st.integers(150, 3000), extensions)
def test_one_letter_with_endless_accents_is_cut_all_the_same(mark, times, extension):
    name = safe_name("e" + mark * times + extension)
    assert name[0] in "eé"
    assert name.endswith(extension)
    assert MAX_BYTES - 3 < len(name.encode()) <= MAX_BYTES
