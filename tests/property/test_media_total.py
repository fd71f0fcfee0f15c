"""The law of the observed type: total, closed, and blind to what lies behind the head."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staging._claims.contradictions import contradicts
from staging._claims.kinds import kind_of, kind_of_name, media_type_of_name
from staging._claims.media import HEAD_BYTES, OBSERVABLE, observe, text_charset, wants_tail
from staging._claims.signatures import SIGNATURES, signature_of

MARKS = st.sampled_from([
    b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"ID3\3", b"\xff\xfb\x90\0", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0",
    b"\xef\xbb\xbf", b"RIFF\0\0\0\0", b"\0\0\0\x18ftyp", b"ftypmif1", b"\x1aE\xdf\xa3", b"OggS\0", b"%PDF-", b"<",
    b"<!--", b"<?xml", b"<svg ", b"{", b'["', b'{"a": ', b"\\", b"PK\3\4", b"PK\1\2", b"PK\5\6", b"mimetype", b"\n",
    b"<script>", b"</script>", b"<style ", b"<meta a>", b"<html>", b"<title>", b"-->", b"?>", b"{%",
    b"ID3\4\0\0\0\0\x7f\x7f",
    b"\xff\xf1\x50\x80\x02\x1f\xfc", b"\xff\xf8\xc9\x18\0", b"[Content_Types].xml", b"META-INF/manifest.xml",
    b"moov", b"mvhd",
    b"hdlr", b"\0\0\0\x14ftypmp42", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Root Entry".encode("utf-16-le"),
    b"\xff\xd8\xff",
    b"\xff\xff\xff\xff", b"II*\0\x08\0\0\0", b"MM\0*", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\x86\x86A_", b"P6\n#",
    b"MZ", b"G", b"koly", b"\x0b\x77", b"%PDF-1.4\n", b"1 0 obj",
])  # fmt: skip
FILES = st.lists(MARKS | st.binary(max_size=40) | st.integers(0, 5000).map(bytes), max_size=12).map(b"".join)
CLAIMS = st.sampled_from(sorted(OBSERVABLE)) | st.text(max_size=30) | st.none()


@given(FILES, FILES)
def test_every_file_has_one_of_the_closed_set_of_types(head, tail):
    assert observe(head) in OBSERVABLE
    assert observe(head, tail) in OBSERVABLE
    assert observe(b"PK\3\4" + head, tail) in OBSERVABLE


@given(FILES, FILES, st.sampled_from([b"\0", b" ", b"x"]))
def test_what_lies_behind_the_head_changes_nothing(data, more, filler):
    data = data + filler * (HEAD_BYTES - len(data))
    assert observe(data + more) == observe(data) == observe(data[:HEAD_BYTES])
    assert text_charset(data + more) == text_charset(data)
    assert wants_tail(data + more) == wants_tail(data)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=3000))
def test_text_in_any_script_is_text_in_a_charset_that_reads_it(text):
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        data = text.encode(codec)
        charset = text_charset(data)
        if len(data) < HEAD_BYTES and not text.startswith("\ufeff"):
            assert data.decode(charset) == text
        assert charset is not None


@given(st.binary(max_size=300))
def test_a_charset_that_is_named_reads_the_whole_of_a_short_file(data):
    charset = text_charset(data)
    if charset is not None:
        data.decode(charset)


@given(CLAIMS, st.sampled_from(sorted(OBSERVABLE)))
def test_a_verdict_on_any_claim(claim, observed):
    assert contradicts(claim, observed) in {True, False}
    assert not contradicts(observed, observed)
    if claim is not None:
        assert kind_of(claim) in {"image", "video", "audio", "file"}
        assert kind_of_name(claim) in {None, "image", "video", "audio", "file"}
        assert media_type_of_name(claim) is None or "/" in media_type_of_name(claim)


# what rows look back at
_BEFORE = {b"\x2a\x4d\x18": b"\x50", b"\r\n": b"\0\r", b"LP": bytes(8) + b"\0\0\1\0" + bytes(22)}
_LOOK_BACK = re.compile(rb"\(\?<=(?:.*\)\Z|[^)]*\))")


@pytest.mark.parametrize("row", SIGNATURES)
@settings(max_examples=10)
@given(data=st.data())
def test_every_row_of_the_signatures_is_found(row, data):
    place, letters, behind, _ = row
    before = _BEFORE.get(letters) or data.draw(st.binary(min_size=place, max_size=place))
    rest = data.draw(st.from_regex(re.compile(rb"\A(?:%b)" % _LOOK_BACK.sub(b"", behind), re.DOTALL)))
    earlier = [earlier for *_, earlier in SIGNATURES[: SIGNATURES.index(row) + 1]]
    assert signature_of(before + letters + rest) in earlier


def test_letters_alone_are_no_signature_that_goes_on_behind_them():
    for place, letters, behind, signed in SIGNATURES:
        assert not behind or signature_of(bytes(place) + letters) != signed
