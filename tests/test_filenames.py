"""Names by example: the two corpora, and what each rule is there for."""

import json
import time
import unicodedata

import pytest

from staging._claims.disposition import disposition_filename, url_filename
from staging._claims.filenames import UniqueNames, safe_name

FAMILY = "👨\u200d👩\u200d👧.png"


def load(corpora, name):
    return json.loads((corpora / name).read_text("utf-8"))["items"]


# --- safe_name -------------------------------------------------------------------------------------------------------


def broken_laws(name):
    """Return the laws of DESIGN section 3 that `name` breaks, told without the code under test."""
    stem = name.partition(".")[0].rstrip(" ").upper()
    ports = {f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"}
    laws = {
        "dot name or empty": name in {"", ".", ".."},
        "character": any(unicodedata.category(c)[0] == "C" or (c != " " and c.isspace()) for c in name),
        "syntax": bool(set(name) & set("/\\<>:\"|?*`$';&\n")),
        "normalisation": not unicodedata.is_normalized("NFC", name),
        "device": stem in ports | {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"},
        "start": name[:1] in set("-.~ "),
        "end": name[-1:] in set(". "),
        "length": len(name.encode(errors="surrogatepass")) > 150,
    }
    return {law for law, broken in laws.items() if broken}


def test_every_hostile_name_becomes_lawful(corpora):
    assert {
        i["name"]: laws for i in load(corpora, "filenames.json") if (laws := broken_laws(safe_name(i["name"])))
    } == {}


def test_a_name_changes_if_and_only_if_it_breaks_a_law(corpora):
    for item in load(corpora, "filenames.json"):
        assert (safe_name(item["name"]) != item["name"]) == bool(broken_laws(item["name"])), item["id"]


def test_every_hazard_is_seen(corpora):
    for item in load(corpora, "filenames.json"):
        if item["hazards"] or item.get("expect", {}).get("go_IsLocal_windows") is False:
            assert safe_name(item["name"]) != item["name"], item["id"]


def test_ordinary_names_stay_readable(corpora):
    """Three of them hold what a law forbids: an ampersand, a quote, and joiners."""
    benign = [i["name"] for i in load(corpora, "filenames.json") if i["category"] == "benign-control"]
    changed = {name: safe_name(name) for name in benign if safe_name(name) != name}
    assert len(benign) == 18
    assert changed == {"AT&T report.pdf": "AT_T report.pdf", "o'reilly.epub": "o_reilly.epub", FAMILY: "👨👩👧.png"}


CHROMIUM_DIFFERS = {
    "fi-0399990a4b": "we add no extension",
    "fi-a239f9f9eb": "we add no extension",
    "fi-6d7364b58f": "other fallback",
    "fi-4b19e0adf2": "other fallback",
    "fi-4394075776": "other fallback",
    "fi-75ae0d1644": "other fallback",
    "fi-0b4c316732": "other fallback",
    "fi-eee82cb192": "it knew the page's charset",
    "fi-60489ab226": "our contract: the last component",
    "fi-e9abb59c6f": "our contract: the last component",
    "fi-a00d8f2e0c": "our contract: the last component",
    "fi-ee3c0565c3": "our contract: the last component",
    "fi-4940c74c19": "our contract: the last component",
    "fi-ea5cd55370": "what is trimmed leaves no mark",
    "fi-897c0b716b": "what is trimmed leaves no mark",
    "fi-02642cc401": "what is trimmed leaves no mark",
}


def claim_of(item):
    """Read the item's name through the channel that it came by."""
    if item.get("channel") == "url-segment":
        return url_filename("https://cdn.discordapp.com/" + item["name"])
    if item.get("channel") == "content-disposition":
        quoted = item["name"].replace("\\", "\\\\").encode("latin-1")
        return disposition_filename(b'attachment; filename="' + quoted + b'"')
    return item["name"]


def test_chromium_would_save_it_under_the_same_name(corpora):
    items = [item for item in load(corpora, "filenames.json") if "chromium_posix" in item.get("expect", {})]
    differing = {
        item["id"]
        for item in items
        if safe_name(claim_of(item)) not in {item["expect"]["chromium_posix"], item["expect"]["chromium_win"]}
    }
    assert len(items) == 42
    assert differing == set(CHROMIUM_DIFFERS)


@pytest.mark.parametrize(
    ("claimed", "name"),
    [
        ("script.py", "script.py"),
        ("日本語.pdf", "日本語.pdf"),
        ("My Report (final).docx", "My Report (final).docx"),
        ("❤️.png", "❤️.png"),
        (None, "attachment"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\me\photo.png", "photo.png"),
        ("photos/", "photos"),
        ("photo_\u202egnp.exe", "photo_gnp.exe"),  # shown as photo_exe.png
        ("Screenshot 2026-11-23 at 1.00.00\u202fPM.png", "Screenshot 2026-11-23 at 1.00.00 PM.png"),  # macOS
        ("a\r\nFILE 'b'", "a  FILE _b_"),
        ("a\u037eb\u1fefc", "a_b_c"),  # NFC makes them ; and `
        ("e\u200b\u0301.png", "é.png"),  # what stood between them vanished
        ("\ud800.png", "_.png"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("com¹ .txt", "_com¹ .txt"),
        ("-rf", "rf"),
        (".bashrc", "bashrc"),
        ("~root", "root"),
        ("a.png. . ", "a.png"),
        ("$(id).png", "_(id).png"),
        ("x" * 200 + ".tar.gz", "x" * 143 + ".tar.gz"),
        ("x" * 200 + ".TAR.GZ", "x" * 143 + ".TAR.GZ"),
        ("x" * 200 + "." + "y" * 16, "x" * 133 + "." + "y" * 16),
        ("x" * 200 + "." + "y" * 17, "x" * 150),  # no extension is that long
        ("x" * 200 + ". y", "x" * 150),  # none has a space
        ("a" * 100_000 + ".png", "a" * 146 + ".png"),
        ("🇫🇷" * 30 + ".c", "🇫🇷" * 18 + ".c"),  # there is room for half a flag more
    ],
)
def test_safe_name(claimed, name):
    assert safe_name(claimed) == name


@pytest.mark.parametrize("fallback", ["", "..", "/", "\u200b", "\u202e/", "-"])
def test_a_useless_fallback_is_replaced(fallback):
    assert safe_name("..", fallback=fallback) == "attachment"


def test_the_fallback_obeys_the_same_laws():
    assert safe_name(None, fallback="../NUL.png") == "_NUL.png"


# --- UniqueNames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "names"),
    [
        (["a.png", "A.PNG"], ["a.png", "A-2.PNG"]),
        (["a.png", "a.png", "a.png"], ["a.png", "a-2.png", "a-3.png"]),
        (["a-2.png", "a.png", "a.png"], ["a-2.png", "a.png", "a-3.png"]),
        (["a.png", "a.png", "a-2.png"], ["a.png", "a-2.png", "a-2-2.png"]),
        (["a.tar.gz", "a.TAR.gz"], ["a.tar.gz", "a-2.TAR.gz"]),
        (["jquery.min.js"] * 2, ["jquery.min.js", "jquery.min-2.js"]),
        (["tar.gz"] * 2, ["tar.gz", "tar-2.gz"]),
        (["README"] * 2, ["README", "README-2"]),
        (["a. b c"] * 2, ["a. b c", "a. b c-2"]),
        (["é.png", "e\u0301.png"], ["é.png", "e\u0301-2.png"]),
        (["straße", "STRASSE"], ["straße", "STRASSE-2"]),
        (["ı", "I"], ["ı", "I-2"]),  # one name to NTFS and FAT, two to casefold
        (["x" * 150] * 2, ["x" * 150, "x" * 138 + "-2"]),
        (["日" * 48 + ".png"] * 2, ["日" * 48 + ".png", "日" * 44 + "-2.png"]),
    ],
)
def test_unique_names(claimed, names):
    unique = UniqueNames()
    assert [unique.claim(name) for name in claimed] == names


def test_the_whole_corpus_at_once_is_unique(corpora):
    unique = UniqueNames()
    names = [unique.claim(safe_name(item["name"])) for item in load(corpora, "filenames.json")]
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(names) == 828
    assert not any(broken_laws(name) for name in names)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["a.png"] * 10_000, id="equal"),
        pytest.param([f"a-{n}.png" for n in range(5_000)] + ["a.png"] * 5_000, id="numbers taken"),
        pytest.param(["x" * 146 + f"{n:04}" for n in range(5_000)] * 2, id="equal where numbers are put"),
    ],
)
def test_unique_names_take_linear_time(names, monkeypatch):
    """Fewer than three look-ups a name; the clock would not tell linear from quadratic on a busy machine."""
    budget = iter(range(30_000))
    take = UniqueNames._take
    monkeypatch.setattr(UniqueNames, "_take", lambda self, name: next(budget) >= 0 and take(self, name))
    unique = UniqueNames()
    assert len({unique.claim(name) for name in names}) == 10_000


# --- Content-Disposition ---------------------------------------------------------------------------------------------

# Where sources differ: what is returned here. Safest is what a person would recognise, once `safe_name` has the last
# word; and no name where the header has no disposition type at all.
DISPUTED = {
    "co-ebeb5b0f51": "foo-A.html",  # percent in a plain value, as Chromium
    "co-ff739a8005": "foo-A.html",
    "co-219313a811": "foo-ä-€.html",
    "co-f7db05d7f6": "foo.html",  # `filename=foo.html` without a type, as Mozilla and Chromium
    "co-37c2b6106b": None,  # a quoted string in place of the type, as Chromium
    "co-319ba6ef5a": "foo.html",  # two types, as jshttp
    "co-36a6261919": "foo-a\u0308.html",  # as sent: NFC is the business of safe_name
    "co-fd04101818": "foo-ä.html",  # RFC 2047 words, as Mozilla
    "co-5e1ce473f6": "foo-ä.html",
}

# Marked as agreed because one source alone has an opinion (or two that do differ), while another entry of the corpus,
# or the contract, asks for the opposite. The value is what is returned here.
CONTRADICTED = {
    "co-669215d22f": "foobar.html",  # jshttp has no continuations; aiohttp and Mozilla do (co-… `filename*0="dir"`)
    "co-4abba4b345": "foo",
    "co-16cfa99e34": "foo",
    "co-95dd4d30dd": "foobar",
    "co-01bf70e863": "foo-ä.html",  # raw UTF-8 as Chromium, which is listed with this very value; jshttp: mojibake
    "co-5f4d18fc7a": "foo-ä.html",
    "co-bd06f77700": "‚ rates.pdf",  # ISO-8859-1 is windows-1252 for Mozilla in `%e2%82%ac`, and by WHATWG
    "co-dfe521a79b": "foo-ä.html",  # a quoted ext-value, as Mozilla in `"utf-8''%41"`; servers do send it
    "co-3f256feaef": "plans.pdf",  # `filename="plans.pdf"` without a type, as Chromium
    "co-287cd0e1ff": "cafå.png",  # Chromium took the charset of the referring page; there is none here
    "co-5b5cf50184": "",  # two sources say "" for `attachment; filename=`; both mean no name
    "co-7f0cd26b89": None,  # charset BAD, undecoded; unknown charsets are refused everywhere else
}


def test_every_header_on_which_sources_agree_is_read_right(corpora):
    agreed = [item for item in load(corpora, "content_disposition.json") if item["sources_agree"]]
    read = {item["id"]: disposition_filename(item["header"].encode("latin-1")) for item in agreed}
    wrong = {item["id"]: read[item["id"]] for item in agreed if read[item["id"]] != item["expected"]}
    assert len(agreed) == 192
    assert wrong == CONTRADICTED


def test_where_sources_differ_one_of_them_is_followed_or_none(corpora):
    items = [item for item in load(corpora, "content_disposition.json") if not item["sources_agree"]]
    read = {item["id"]: disposition_filename(item["header"].encode("latin-1")) for item in items}
    assert read == DISPUTED
    for item in items:
        assert read[item["id"]] in {*item["expected_by_source"].values(), None}


def test_every_claimed_name_becomes_lawful(corpora):
    for item in load(corpora, "content_disposition.json"):
        name = safe_name(disposition_filename(item["header"].encode("latin-1")))
        assert not broken_laws(name), item["id"]


@pytest.mark.parametrize(
    ("header", "claim"),
    [
        (b'attachment; filename="a.png"', "a.png"),
        (b'filename="report.pdf"', "report.pdf"),  # the type is lost
        (b'FileName = "report.pdf"', "report.pdf"),
        (b"filename*=UTF-8''%C3%BC.pdf", "ü.pdf"),
        (b"attachment; filename*=\"utf-8''SBD%20%C5%A0kod.jpg\"", "SBD Škod.jpg"),
        (b"attachment; filename*=\"utf-8''b.jpg\"; filename=a.jpg", "a.jpg"),  # as RFC 6266 has it comes first
        (b"", None),
        (b"attachment; filename=voil\xc3\xa0", "voilà"),  # its last byte is U+00A0 in ISO-8859-1
        (b"attachment; filename=\xe0", "à"),
        (b"attachment; filename=\x81", "\x81"),  # without a meaning in windows-1252
        (b'attachment; filename="a; filename=b.png"', "a; filename=b.png"),
        (b'attachment; x="; filename=evil.exe; y="; filename=a.png', "a.png"),
        (b'attachment; filename="a" b; filename="c"', "a"),
        (b'attachment; filename="a', None),
        (b"attachment; filename*=utf-8''a; filename=b", "a"),
        (b"attachment; filename=b; filename*0=a", "a"),
        (b"attachment; filename*0*=EUC-KR''%BF%B9; filename*1=.png", "예.png"),
        (b"attachment; filename*0*=utf-16''%BF%B9; filename=b", "b"),
        (b"attachment; filename*0*=utf-8''%zz; filename=b", "b"),
        (b"attachment; filename*0=\xc3; filename*1=\xa4", "ä"),  # a character in two segments
        (b"attachment; filename*=EUC-KR''%BF%B9", "예"),
        (b"attachment; filename*=EUC-KR''%BF%B9; filename=b", "b"),  # RFC 8187 knows two charsets
        (b"attachment; filename==?utf-8?Q?100%41_=3D_a=5Fb?=", "100%41 = a_b"),
        (b"attachment; filename==?utf-8?B?!?=", None),
        (b"attachment; filename==?x?Q?a?=", None),
        (b'attachment; filename="=?utf-8?Q?a?= b \xc3\xa4"', "ab ä"),
        (b"attachment; filename=100%.txt", "100%.txt"),
        (b"attachment; filename=%FF.txt", "%FF.txt"),
    ],
)
def test_disposition_filename(header, claim):
    assert disposition_filename(header) == claim


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
