"""Law: whatever a header or a URL contains, reading a claim from it gives text or nothing, and never raises."""

from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st
from strategies import claims, ordinary_names

from staging._claims.disposition import disposition_filename, url_filename
from staging._claims.filenames import safe_name

PIECES = (
    b"attachment", b"inline", b";", b" ", b"\t", b"\r\n ", b"=", b"\0", b'"', b"\\", b"'", b"''", b"*", b"%", b"%2F",
    b"filename", b"filename=", b"filename*=", b"filename*0=", b"filename*0*=", b"filename*1=", b"filename*01=", b"%E4",
    b"UTF-8''", b"utf-16''", b"utf-7''", b"idna''", b"iso-8859-1'en'", b"EUC-KR''", b"x''", b"=?utf-8?Q?", b"?=",
    b"=?euc-kr?b?", b"v7m8+iAz", b"a.png", b"\xe4", b"\xc3\xa4", b"filename*" + b"9" * 5000 + b"=x",
)  # fmt: skip
headers = st.binary(max_size=60) | st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=14).map(b"".join)


@given(headers)
def test_no_header_raises(header):
    claim = disposition_filename(header)
    assert claim is None or isinstance(claim, str)
    safe_name(claim)


@given(headers)
def test_no_parameter_raises(header):
    claim = disposition_filename(b"attachment; filename" + header)
    assert claim is None or isinstance(claim, str)
    safe_name(claim)


@given(st.text().filter(lambda name: "\0" not in name))
def test_rfc_8187_round_trip(name):
    header = f"attachment; filename=\"other\"; filename*=UTF-8''{quote(name, safe='')}"
    assert disposition_filename(header.encode()) == name


def twice_encoded(name):
    try:
        return not name.isascii() and bool(name.encode("latin-1").decode())
    except UnicodeError:
        return False


@given(ordinary_names)
@example("Âª")
def test_rfc_6266_round_trip_of_utf_8_in_quotes(name):
    """But for names that look as if they had been encoded twice, which some servers do: those are read as they were."""
    if "%" not in name and not twice_encoded(name):
        assert disposition_filename(b'attachment; filename="' + name.encode() + b'"') == name


@given(claims)
def test_no_url_raises(text):
    for url in (text, "https://cdn.discordapp.com/" + text, "https://cdn.discordapp.com/a/" + text + "?ex=1"):
        claim = url_filename(url)
        assert claim is None or claim
        safe_name(claim)


@given(ordinary_names, st.text(), st.sampled_from("?#"))
def test_url_round_trip(name, rest, mark):
    assert url_filename(f"https://cdn.discordapp.com/attachments/1/2/{quote(name, safe='')}{mark}{rest}") == name
