"""Names by example, and hostile ones by kind."""

import unicodedata

import pytest
from name_laws import HOSTILE, ORDINARY, broken_laws

from staging._claims.filenames import UniqueNames, safe_name, with_extension

# --- safe_name -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_name_changes_and_becomes_lawful(kind):
    assert [name for name in HOSTILE[kind] if broken_laws(safe_name(name))] == []
    lawful = [name for name in HOSTILE[kind] if not broken_laws(name)]
    assert [name for name in HOSTILE[kind] if (safe_name(name) == name) != (name in lawful)] == []
    assert len(lawful) < len(HOSTILE[kind]) / 5, "the table is what it says"


def test_an_ordinary_name_comes_back_unchanged():
    assert [name for name in ORDINARY if broken_laws(name)] == []
    assert [name for name in ORDINARY if safe_name(name) != name] == []


def test_all_hostile_names_at_once_are_unique():
    """Unique under case folding and in every normal form, as on NTFS, APFS and HFS+."""
    unique = UniqueNames()
    claims = [name for names in HOSTILE.values() for name in names] * 2
    names = [unique.claim(safe_name(name)) for name in claims]
    for form in ("NFC", "NFD"):
        assert len({unicodedata.normalize(form, name).casefold() for name in names}) == len(names)
        assert len({unicodedata.normalize(form, name).upper() for name in names}) == len(names)
    assert [name for name in names if broken_laws(name)] == []


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


# --- extensions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type", "named"),
    [
        ("attachment", "image/png", "attachment.png"),
        ("AgACAgIAAxk", "image/jpeg", "AgACAgIAAxk.jpg"),  # a Telegram file's id
        ("voice", "audio/ogg", "voice.ogg"),
        ("report", "application/pdf", "report.pdf"),
        ("report.pdf", "application/pdf", "report.pdf"),
        ("photo.png", "image/webp", "photo.png"),  # it has one: the context says that it is wrong
        ("README", "text/plain", "README"),
        ("Makefile", "text/plain", "Makefile"),
        ("page", "text/html", "page.html"),
        ("data", "application/json", "data.json"),
        ("thing", "application/octet-stream", "thing"),
        ("photo.bin", "image/jpeg", "photo.bin.jpg"),  # Mattermost's name for what it does not know
        ("firmware.bin", "application/gzip", "firmware.bin"),
        ("x.dat", "application/json", "x.dat"),
        ("Screenshot 2026-11-25 at 10.30.15", "image/png", "Screenshot 2026-11-25 at 10.30.15.png"),
        ("archive.zip.001", "application/zip", "archive.zip.001"),  # a part of several
        ("video.mp4.002", "image/png", "video.mp4.002"),
        ("v1.2", "text/plain", "v1.2"),
        ("photo.png", "image/webp", "photo.png"),  # the sender's own; that the bytes are another is shown
        ("Dr. Who", "image/png", "Dr. Who.png"),
        ("x" * 150, "image/png", "x" * 146 + ".png"),
        ("é" * 75, "application/pdf", "é" * 73 + ".pdf"),
    ],
)
def test_a_name_without_an_extension_gets_that_of_the_observed_type(name, media_type, named):
    assert with_extension(name, media_type) == named
    assert with_extension(named, media_type) == named
    assert not broken_laws(named)


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
