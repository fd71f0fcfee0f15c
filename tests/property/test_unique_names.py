"""Law: names within a stage never meet, on any file system, and stay lawful."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from strategies import MAX_BYTES, claims, long_names, ordinary_names

from staging._claims.filenames import UniqueNames, safe_name

FOLDS = (
    lambda name: unicodedata.normalize("NFC", name).casefold(),  # the contract
    lambda name: unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()),
    lambda name: unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold()),  # ext4, APFS; D145
    lambda name: unicodedata.normalize("NFD", name),  # HFS+
    lambda name: name.upper(),  # NTFS, FAT
    lambda name: name.lower(),
    lambda name: name,
)
COLLIDING = (
    "a.png", "A.PNG", "a-2.png", "a-2-2.png", "a-3.png", "A-2.png", "a", "a-2", "ß", "ss", "ẞ", "I", "ı", "i", "İ",
    "é.tar.gz", "É.TAR.GZ", "é-2.tar.gz", "x" * 150, "x" * 149 + "y", "x" * 138 + "-2", "ǰ", "ᾳ", "αι",
)  # fmt: skip
collisions = st.lists(st.sampled_from(COLLIDING), min_size=2, max_size=30)
batches = collisions | st.lists(st.sampled_from(COLLIDING) | st.one_of(claims, ordinary_names).map(safe_name))


def claim_all(names):
    unique = UniqueNames()
    return [unique.claim(name) for name in names]


@given(batches)
def test_no_two_names_meet_on_any_file_system(names):
    claimed = claim_all(names)
    for fold in FOLDS:
        assert len({fold(name) for name in claimed}) == len(names)


@given(batches)
def test_every_name_is_lawful(names):
    for name in claim_all(names):
        assert safe_name(name) == name
        assert len(name.encode()) <= MAX_BYTES


@given(long_names, st.integers(2, 30))
def test_the_extension_is_kept(long_name, times):
    name, extension = long_name
    assert all(claimed.endswith(extension) for claimed in claim_all([safe_name(name)] * times))


@given(st.lists(ordinary_names, unique_by=lambda name: unicodedata.normalize("NFKC", name.upper()).casefold()))
def test_names_that_differ_are_left_alone(names):
    assert claim_all(names) == names


@given(batches)
def test_the_first_of_a_kind_keeps_its_name(names):
    assert claim_all(names)[:1] == names[:1]
