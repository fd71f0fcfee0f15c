"""What headers and URLs claim as a name: as RFC 6266 has it, and as servers write it.

Each group names its source. Where browsers differ, the comment says which one is followed.
"""

import time

import pytest
from name_laws import broken_laws

from staging._claims.disposition import disposition_filename, url_filename
from staging._claims.filenames import safe_name

LONG = "x" * 5000
HEADERS = {
    "no name (RFC 6266, section 4.2)": (
        (b"", None), (b"attachment", None), (b"attachment;", None), (b"inline \t", None), (b"attachment; ;", None),
        (b'attachment; name="zoe.html"', None), (b"attachment; size=12", None), (b"attachment; filename", None),
        (b"attachment; filename x", None), (b"attachment; xfilename=zoe.html", None), (b"attachment;=zoe", None),
        (b'attachment; filename@="zoe.html"', None), (b"attachment filename=zoe.html", None), (b"zoe.html", None),
        (b'attachment; creation-date="Wed, 12 Feb 1997 16:29:51 -0500"', None), (b'"attachment"', None),
        (b"attachment; x=x filename=zoe", None), (b"attachment; filename=", ""), (b'attachment; filename=""', ""),
    ),
    "tokens (RFC 9110, section 5.6.2)": (
        (b"attachment; filename=zoe.html", "zoe.html"), (b"inline;filename=zoe.html", "zoe.html"),
        (b"attachment; FileName=zoe.html", "zoe.html"), (b"attachment; filename = zoe.html ;", "zoe.html"),
        (b"ATTACHMENT ; ;filename=zoe.html; a=b", "zoe.html"), (b"attachment; filename=zoe.html; a", "zoe.html"),
        # no token, and what servers write all the same
        (b"attachment; filename=zoe and leo.html", "zoe and leo.html"), (b"attachment; filename=a,b.html", "a,b.html"),
        (b"attachment; filename='zoe.html'", "'zoe.html'"), (b"attachment; filename=zoe extra=leo", "zoe"),
        (b"attachment; inline; filename=zoe.html", "zoe.html"), (b": inline; x; filename=zoe.html", "zoe.html"),
        (b"attachment; filename=zoe; filename=leo", "zoe"), (b"form-data; name=f; filename=zoe.html", "zoe.html"),
    ),
    "quoted strings (RFC 9110, section 5.6.4)": (
        (b'attachment; filename="zoe.html"', "zoe.html"), (b'attachment;filename = "zoe.html" \t; a=b', "zoe.html"),
        (b'attachment; filename="a;b=c.html"; x="y"', "a;b=c.html"), (b'attachment; filename="a\\"b\\\\c"', 'a"b\\c'),
        (b'attachment; filename="z\\oe.html"', "zoe.html"), (b'attachment; x="; filename=leo"; filename=zoe', "zoe"),
        (b'attachment; filename="a, b.html"', "a, b.html"), (b'attachment; filename=""a" b"', '"a" b'),  # Chromium
        (b'attachment; filename="zoe.html" leo; filename="mia"', "zoe.html"), (b'attachment; filename="zoe', None),
        (b'attachment; filename="zoe\t\r\n .html"', "zoe    .html"),  # RFC 9112, section 5.2: folding
        (b'attachment; filename="a; filename=b.png"', "a; filename=b.png"),
        (b'attachment; x="; filename=evil.exe; y="; filename=a.png', "a.png"),
        (b'attachment; filename="a" b; filename="c"', "a"),
    ),
    "without a disposition type (Chromium)": (
        (b"filename=zoe.html", "zoe.html"), (b"filename \t = zoe.html", "zoe.html"), (b"FILENAME=zoe", "zoe"),
        (b'filename="zoe.html"', "zoe.html"), (b'filename="a b.html"; x=y', "a b.html"), (b"; filename=zoe", "zoe"),
        (b'filename="=?UTF-8?B?em/DqS50eHQ=?="', "zoé.txt"), (b"filename*=UTF-8''zo%C3%A9.txt", "zoé.txt"),
        (b"name=zoe.html", None), (b'"x; filename=leo"; filename=zoe', None),
    ),
    "extended values (RFC 8187)": (
        (b"attachment; filename*=UTF-8''zo%c3%a9.html", "zoé.html"), (b"attachment; filename*=utf-8'en'zoe", "zoe"),
        (b"attachment; filename*=iso-8859-1''zo%E9.html", "zoé.html"), (b"inline; FILENAME*=UTF-8''%7Aoe", "zoe"),
        (b"attachment; filename*= UTF-8''zoe%20%e2%82%ac.html", "zoe €.html"),
        (b"attachment; filename*=UTF-8''a+b%2541.html", "a+b%41.html"), (b"attachment; filename*=UTF-8'zoe", "zoe"),
        (b"attachment; filename=zoe; filename*=UTF-8''zo%c3%a9", "zoé"),
        (b"attachment; filename*=leo.html", "leo.html"),
        (b"attachment; filename*=UTF-8''zo%c3%a9; filename=\"zoe\"", "zoé"),
        (b"attachment; filename*=UTF-8''zoe; filename*=UTF-8''leo", "zoe"),
        (b"attachment; filename*=UTF-8'''zo%c3%a9'.html", "'zoé'.html"),
        (b"attachment; filename *=UTF-8''zoe", None),  # a space before the star makes another parameter
        # what does not decode is as if it were not there
        (b"attachment; filename*=UTF-8''zo%e9.html", None),
        (b"attachment; filename*=UTF-8''zo%zz; filename=leo", "leo"),
        (b"attachment; filename*=UTF-8''zo%; filename=leo", "leo"), (b"attachment; filename*=''zoe", None),
        (b"attachment; filename*=UTF-8''zo\xc3\xa9; filename=leo", "leo"), (b"attachment; filename*=x-y''zoe", None),
        (b"attachment; filename*=UTF-8''%ED%A0%80.png", None),  # a surrogate
        (b"attachment; filename*=zoe'.html", None),
        # charsets that no sender should use come last, and only real ones (never zlib, rot13, idna, utf-7)
        (b"attachment; filename*=EUC-KR''%BF%B9", "예"), (b"attachment; filename*=EUC-KR''%BF%B9; filename=b", "b"),
        (b"attachment; filename*=Shift_JIS''%93%FA.txt", "日.txt"), (b"attachment; filename*=US-ASCII''%7A", "z"),
        *((b"attachment; filename*=" + charset + b"''zoe", None)
          for charset in (b"utf-7", b"idna", b"rot13", b"hex", b"zlib", b"utf-16", b"punycode", b"undefined", b"../x")),
    ),
    "extended values in quotes (Firefox)": (
        (b"attachment; filename*=\"utf-8''zo%C3%A9%20x.jpg\"", "zoé x.jpg"), (b'attachment; filename*="a%20b"', "a b"),
        (b"attachment; filename=zoe; filename*=\"UTF-8''zo%c3%a9\"", "zoe"),  # RFC 8187 forbids the quotes
    ),
    "continuations (RFC 2231, section 3)": (
        (b"attachment; filename*0=zoe; filename*1=.html", "zoe.html"), (b"attachment; filename*0=a; filename*2=b", "a"),
        (b'attachment; filename*0="a b"; filename*1="\\c.html"', "a bc.html"), (b"attachment; filename*1=a", None),
        (b"attachment; filename*1=b; filename*0=a", "ab"), (b"attachment; filename*0=a; filename*01=b", "a"),
        (b"attachment; filename*0=a; filename*0=b; filename=c", "a"), (b"attachment; filename=c; filename*0=a", "a"),
        (b"attachment; filename*0*=UTF-8''zo%c3%a9; filename*1=\" x\"; filename*2*=%20y", "zoé x y"),
        (b"attachment; filename*0*=UTF-8''a;\r\n filename*1=b;\r\n filename*1=c", "ab"),
        (b"attachment; filename*0=a; filename*1=b; filename*0=c; filename*=UTF-8''d", "d"),
        (b"attachment; filename*0*=EUC-KR''%BF%B9; filename*1=.png", "예.png"),
        (b"attachment; filename*0*=utf-16''%BF%B9; filename=b", "b"),
        (b"attachment; filename*0*=utf-8''%zz; filename=b", "b"),
        (b"attachment; filename*0=\xc3; filename*1=\xa9", "é"),  # a character in two segments
        (b"attachment; filename*0=a; filename*" + b"1" * 60 + b"=b", "a"), (b"attachment; filename*-1=a", None),
        (b"attachment; filename*0=a; filename*1a=b", "a"), (b"attachment; filename*\xd9\xa0=a", None),
    ),
    "words of mail (RFC 2047; Chromium and Firefox read them)": (
        (b'attachment; filename="=?UTF-8?B?em/DqS50eHQ=?="', "zoé.txt"),
        (b"attachment; filename==?iso-8859-1?Q?zo=E9_x.txt?=", "zoé x.txt"),
        (b'attachment; filename="=?utf-8?Q?zo?= =?utf-8?q?=C3=A9?= .txt"', "zoé.txt"),
        (b'attachment; filename="=?EUC-JP?Q?=B7=DD=BD=D13=2Epng?="', "芸術3.png"),
        (b"attachment; filename==?utf-8?Q?100%41_=3D_a=5Fb?=", "100%41 = a_b"),
        (b'attachment; filename="=?utf-8?Q?a?= b \xc3\xa4"', "ab ä"), (b"attachment; filename==?utf-8?B?!?=", None),
        (b"attachment; filename==?x?Q?a?=", None), (b"attachment; filename==?utf-8?Q?a=E?=", None),
        (b"attachment; filename==?utf-8?Q?=?=", None),
        (b"attachment; filename==?utf-8?Q?a?", None), (b"attachment; filename==?utf-8?Q?a?==", None),
    ),
    "bytes that no header should have": (
        ('attachment; filename="zoé.txt"'.encode(), "zoé.txt"), ("attachment; filename=会议.txt".encode(), "会议.txt"),
        ('attachment; filename="zoé.txt"'.encode("latin-1"), "zoé.txt"), (b"attachment; filename=\x80.txt", "€.txt"),
        (b"attachment; filename=voil\xc3\xa0", "voilà"),  # its last byte is U+00A0 in ISO-8859-1
        (b"attachment; filename=\xe0", "à"), (b"attachment; filename=\x81", "\x81"),  # no meaning in windows-1252
        ('attachment; filename="会议记录.txt"'.encode("gbk"), "会议记录.txt"),  # Chinese Windows
        ('attachment; filename="2026年报告 v2.txt"'.encode("gbk"), "2026年报告 v2.txt"),
        ('attachment; filename="会 v2.txt"'.encode("gbk"), "»á v2.txt"),  # one in a row is too little
        ('attachment; filename="Größe, Straße.txt"'.encode("latin-1"), "Größe, Straße.txt"),
        ('attachment; filename="会议.txt"'.encode().decode("latin-1").encode(), "会议.txt"),  # encoded twice
        ('attachment; filename="zoé €.txt"'.encode().decode("cp1252").encode(), "zoé €.txt"),
        ('attachment; filename="Ã la carte.txt"'.encode(), "Ã la carte.txt"),  # honest
        (b"attachment; filename=a\0b.txt", None), (b"attachment; filename=zoe\0\0", "zoe"),
    ),
    "percent signs in a plain value (Chromium)": (
        (b'attachment; filename="zo%C3%A9%20x.txt"', "zoé x.txt"), (b"attachment; filename=%E4%BC%9A.txt", "会.txt"),
        (b"attachment; filename=100%.txt", "100%.txt"), (b"attachment; filename=%FF.txt", "%FF.txt"),
        (b'attachment; filename="a%22b"', 'a"b'),
        (b"attachment; filename*=UTF-8''a%4; filename=b", "b"), (b"attachment; filename*=UTF-8''a%4g; filename=b", "b"),
    ),
    "attacks: the claim is raw, and safe_name has the last word": (
        (b'attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        (b'attachment; filename="CON.png"', "CON.png"),
        (b"attachment; filename*=UTF-8''..%2f..%2fetc%2fpasswd", "../../etc/passwd"),
        (b"attachment; filename*=UTF-8''%00.png", "\0.png"),
        (b"attachment; filename*=UTF-8''a%0d%0aSet-Cookie:%20x=1.png", "a\r\nSet-Cookie: x=1.png"),
        (b"attachment; filename*=UTF-8''photo_%E2%80%AEgnp.exe", "photo_\u202egnp.exe"),
        (b"attachment; filename=zoe.png; filename=evil.exe", "zoe.png"),
        (b"attachment; " + b";" * 5000 + b"filename=zoe.png", "zoe.png"),
        (f'attachment; filename="{LONG}.png"'.encode(), f"{LONG}.png"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("group", HEADERS)
def test_a_header_claims_the_name_that_a_person_would_recognise(group):
    found = [(header, disposition_filename(header), name) for header, name in HEADERS[group]]
    assert [row for row in found if row[1] != row[2]] == []


def test_no_claim_of_a_header_breaks_a_law_in_the_end():
    rows = [row for group in HEADERS.values() for row in group]
    assert [header for header, _ in rows if broken_laws(safe_name(disposition_filename(header)))] == []


@pytest.mark.parametrize(
    "header",
    [
        b'a; filename="' + b"\\" * 200_000,
        b'a; filename="' + b'"x' * 200_000 + b";",
        b'a; filename="' + b'" ' * 200_000,
        b"a; filename=a" + b" a" * 200_000,
        b"a; filename=a" + b" " * 200_000 + b"=",
        b"a" + b'; ="' * 200_000,
        b"a" + b"; filename*0=a" * 50_000,
        b'a; filename="' + b"=?utf-8?q?a?= " * 20_000 + b'"',
        b"a; filename*=utf-8''" + b"%41" * 50_000,
    ],
    ids=range(9),
)
def test_a_hostile_header_takes_linear_time(header):
    """Milliseconds; a quadratic step would take minutes, so a generous bound tells them apart."""
    start = time.perf_counter()
    disposition_filename(header)
    assert time.perf_counter() - start < 5


# --- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "claim"),
    [
        ("https://cdn.discordapp.com/attachments/1/2/a%20b.png?ex=65&hm=secret#x", "a b.png"),
        ("https://cdn.discordapp.com/attachments/1/2/%E6%97%A5.pdf", "日.pdf"),
        ("https://cdn.discordapp.com/日.pdf", "日.pdf"),
        ("https://example.com/V%FDvojov%E1.doc", "Vývojová.doc"),
        ("https://example.com/%00%ff%2Fa", "\x00ÿ/a"),
        ("https://example.com/100%.txt", "100%.txt"),
        ("https://example.com/a/", None),
        ("https://example.com/", None),
        ("https://example.com", None),
        ("https://example.com?name=/a.png", None),
        ("", None),
        ("a.png", "a.png"),
        ("https://example.com/\ud800", "?"),
    ],
)
def test_url_filename(url, claim):
    assert url_filename(url) == claim
