"""A claim against what is seen: a person is told of a lie, and of nothing else."""

import pytest
from media_kit import OCTETS, ODF, OPC, PLAIN

from staging._claims.aliases import ALIASES, canonical
from staging._claims.contradictions import contradicts, kind_shown, refuted_claim
from staging._claims.kinds import extension_for, kind_of, kind_of_name, media_type_of_name
from staging._claims.media import OBSERVABLE

DOCX, XLSX, PPTX = OPC + "wordprocessingml.document", OPC + "spreadsheetml.sheet", OPC + "presentationml.presentation"
DOCM = "application/vnd.ms-word.document.macroEnabled.12"
XLSM = "application/vnd.ms-excel.sheet.macroEnabled.12"
XLSB = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
AGREE = (
    (None, "image/png"), ("", PLAIN), ("png", "image/png"), ("application/octet-stream", "image/png"),
    ("IMAGE/PNG; x=y", "image/png"), ("image/jpg", "image/jpeg"), ("text/x-python", PLAIN), ("application/json", PLAIN),
    ("text/csv", PLAIN), ("text/markdown", PLAIN), ("text/markdown", "text/html"), ("text/plain", "text/html"),
    ("text/plain; charset=utf-8", PLAIN), ("application/xml", "text/xml"), ("application/rss+xml", "text/xml"),
    ("application/xhtml+xml", "text/html"), ("text/xml", "image/svg+xml"), ("image/svg+xml", PLAIN),
    ("video/mp2t", PLAIN), ("application/x-unheard-of", PLAIN), ("application/x-unheard-of", OCTETS),
    ("application/geo+json", "application/json"), ("text/csv", "application/json"), ("text/plain", OCTETS),
    ("audio/mpeg", OCTETS), ("audio/x-wav", "audio/wav"), ("audio/x-m4a", "audio/mp4"), ("audio/mp4", "video/mp4"),
    ("video/quicktime", "video/mp4"), ("audio/webm", "video/webm"), ("video/x-matroska", "video/matroska"),
    ("audio/ogg", "application/ogg"), ("audio/opus", "audio/ogg"), ("image/heif", "image/heic"),
    ("image/x-adobe-dng", "image/tiff"), (DOCX, "application/zip"), (DOCX, "application/x-ole-storage"),
    ("application/zip", DOCX), ("application/java-archive", "application/zip"), ("model/3mf", "application/zip"),
    ("application/msword", "application/x-ole-storage"), ("application/x-zip-compressed", "application/zip"),
    # one container for sound and film, seen either way
    ("video/mp4", "audio/mp4"), ("audio/mp4", "audio/mp4"), ("video/3gpp2", "audio/3gpp2"),
    ("audio/3gpp", "video/3gpp"),
    ("video/webm", "audio/webm"), ("audio/x-ms-wma", "video/x-ms-asf"), ("video/ogg", "audio/ogg"),
    ("audio/aac", "audio/mp4"), ("audio/flac", "audio/ogg"), ("audio/x-flac", "audio/flac"),
    # Windows with Excel sends tables under its name, and Word writes several formats under one
    ("application/vnd.ms-excel", PLAIN), ("application/vnd.ms-excel", XLSX), ("application/vnd.ms-excel", XLSM),
    ("application/vnd.ms-excel", "text/xml"), ("application/msword", "application/rtf"), ("application/msword", DOCX),
    (DOCX, OPC + "wordprocessingml.template"), (PPTX, OPC + "presentationml.slideshow"), (XLSM, XLSX),
    (ODF + "text", ODF + "text-template"),
    ("application/vnd.sun.xml.writer", "application/vnd.sun.xml.writer.template"),
    # behind a password
    (DOCX, "application/encrypted"), ("application/vnd.ms-excel", "application/encrypted"),
    (XLSB, "application/encrypted"),
    # archives of archives, and formats that are packed
    ("application/x-tar", "application/gzip"), ("application/x-gtar", "application/gzip"),
    ("image/svg+xml", "application/gzip"),
    ("application/x-blender", "application/zstd"), ("application/zip", "application/java-archive"),
    ("application/vnd.android.package-archive", "application/zip"),
    ("application/x-apple-diskimage", "application/x-bzip2"),
    # what programs of other systems are called
    ("application/x-msdownload", "application/vnd.microsoft.portable-executable"),
    ("application/x-msdos-program", "application/x-dosexec"), ("application/x-sharedlib", "application/x-elf"),
    ("application/illustrator", "application/pdf"), ("application/postscript", PLAIN), ("font/otf", "font/ttf"),
    ("application/x-sqlite3", "application/vnd.sqlite3"), ("message/rfc822", PLAIN), ("message/rfc822", "text/html"),
    ("application/x-iso9660-image", OCTETS), ("application/unknown", "image/png"), ("image/*", "application/pdf"),
    ("model/stl", PLAIN), ("application/x-plist", "text/xml"), ("application/vnd.ms-outlook", PLAIN),
    ("binary/octet-stream", "text/html"), ("application/x-httpd-php", "text/html"), ("text/x-typescript", "video/mp2t"),
    ("application/netcdf", "application/x-hdf5"), ("application/x-matlab-data", "application/x-hdf5"),
    ("application/java-archive", "application/vnd.android.package-archive"),
)  # fmt: skip
CONTRADICT = (
    ("image/png", "text/html"), ("image/png", PLAIN), ("image/png", OCTETS), ("image/jpeg", "image/png"),
    ("image/gif", "image/webp"), ("application/pdf", OCTETS), ("application/pdf", "text/html"), ("image/jpg", OCTETS),
    ("audio/mpeg", PLAIN), ("video/mp4", "text/html"), ("text/csv", "text/html"), ("application/json", "text/html"),
    ("text/plain", "image/png"), ("text/x-python", "application/zip"), (DOCX, XLSX), (DOCX, "text/html"),
    (DOCX, OCTETS),
    ("application/zip", "application/pdf"), ("application/zip", OCTETS), ("application/x-unheard-of", "text/html"),
    ("application/x-msdownload", "image/png"), ("application/rss+xml", "application/pdf"),
    ("application/geo+json", "text/html"), ("image/svg+xml", "text/html"), ("image/svg+xml", "image/png"),
    ("image/png", "image/svg+xml"), ("video/mp4", "audio/mpeg"),
    (DOCX, DOCM),  # macros where none were announced
    (XLSX, XLSB), ("application/vnd.ms-excel", "text/html"), ("application/msword", "text/html"), ("text/csv", XLSX),
    ("image/png", "application/vnd.microsoft.portable-executable"), ("text/plain", "application/x-elf"),
    ("application/pdf", "application/vnd.microsoft.portable-executable"), ("application/pdf", PLAIN),
    ("audio/mpeg", "audio/wav"), ("image/heic", "image/jpeg"), ("audio/flac", "audio/mpeg"),
    ("audio/x-wav", "video/mp4"),
    ("video/mp2t", "image/png"), ("application/vnd.sqlite3", PLAIN), (ODF + "text", ODF + "spreadsheet"),
)  # fmt: skip


def test_a_claim_is_contradicted_where_a_person_wants_to_know_and_nowhere_else():
    assert [pair for pair in AGREE if contradicts(*pair)] == []
    assert [pair for pair in CONTRADICT if not contradicts(*pair)] == []


def test_no_type_contradicts_itself_and_each_is_a_bare_type():
    for media_type in OBSERVABLE:
        assert not contradicts(media_type, media_type)
        assert not contradicts(media_type.upper() + " ; charset=x", media_type)
        assert media_type == media_type.strip()
        assert media_type.count("/") == 1
        assert ";" not in media_type


NAMED = (  # name, seen, contradicted
    ("report.pdf", "text/html", True),
    ("report.pdf", PLAIN, True),
    ("report.pdf", "application/pdf", False),
    ("REPORT.PDF", "application/zip", True),
    ("photo.png", "image/heic", True),
    ("photo.jpeg", "image/jpeg", False),
    ("photo.PNG", "image/png", False),
    ("slides.pptx", "application/pdf", True),
    ("slides.pptx", "application/zip", False),
    ("setup.exe", "text/html", True),
    ("notes.md", PLAIN, False),
    ("notes.md", "text/html", False),
    ("table.csv", "text/html", True),
    ("main.ts", PLAIN, False),
    ("main.ts", "video/mp2t", False),
    ("film.mts", PLAIN, False),
    ("voice.m4a", "video/mp4", False),
    ("archive.tar.gz", "application/gzip", False),
    ("id_rsa.pub", PLAIN, False),
    ("graph.dot", PLAIN, False),
    ("Info.plist", "text/xml", False),
    ("logo.ai", "application/pdf", False),
    ("logo.svgz", "application/gzip", False),
    ("table.xls", PLAIN, False),
    ("example.com", "text/html", False),
    ("unknown.xyz", "image/png", False),
    ("README", "image/png", False),
    ("", "image/png", False),
)


@pytest.mark.parametrize(("name", "observed", "wrong"), NAMED)
def test_where_no_type_is_claimed_the_extension_is_the_claim(name, observed, wrong):
    for nothing in (None, "", "application/octet-stream", "binary/octet-stream", "*/*", "nonsense"):
        assert contradicts(nothing, observed, name) is wrong


def test_a_claimed_type_is_judged_before_the_extension():
    assert not contradicts("image/webp", "image/webp", "photo.png")
    assert contradicts("image/png", "image/webp", "photo.webp")


def test_the_claim_that_is_refuted_is_named_as_the_sender_wrote_it():
    assert refuted_claim("image/JPG; q=1", "image/png", "a.pdf") == "image/JPG; q=1"
    assert refuted_claim("application/octet-stream", "image/png", "a.pdf") == "application/pdf"
    assert refuted_claim(None, "image/png", "a.docx") == DOCX
    assert refuted_claim(None, "image/png", "a.png") is None
    assert refuted_claim("image/png", "image/png", "a.pdf") is None


def test_a_kind_is_what_is_seen_and_where_nothing_decides_what_is_honestly_claimed():
    rows = (
        ("audio/mp4", "video/mp4", "", "audio"), (None, "video/mp4", "Recording.m4a", "audio"),
        ("audio/webm", "video/webm", "", "audio"), ("video/mp4", "audio/mp4", "", "audio"),
        ("audio/ogg", "application/ogg", "", "audio"), ("video/mp4", "video/mp4", "a.m4a", "video"),
        ("audio/aac", OCTETS, "", "audio"), (None, OCTETS, "v.aac", "audio"), ("image/png", OCTETS, "", "file"),
        ("image/png", "audio/mpeg", "", "audio"), ("image/png", "text/html", "", "file"), (None, OCTETS, "a", "file"),
        ("application/octet-stream", "video/mp4", "x.m4a", "audio"), ("audio/mpeg", "application/pdf", "", "file"),
    )  # fmt: skip
    assert [kind_shown(claimed, seen, name) for claimed, seen, name, _ in rows] == [row[3] for row in rows]


def test_kinds():
    types = ("image/png", "IMAGE/X ;y", "video/mp4", "audio/ogg", "application/pdf", PLAIN, "", "image", "imagery/x")
    assert [kind_of(t) for t in types] == ["image", "image", "video", "audio", "file", "file", "file", "image", "file"]


def test_an_extension_stands_for_a_type_and_a_kind():
    names = ("a.png", "A.JPEG", "x.tar.gz", "film.MKV", "voice.ogg", "s.py", "README", "png", "a.", "", "a.unknown")
    assert [(media_type_of_name(name), kind_of_name(name)) for name in names] == [
        ("image/png", "image"), ("image/jpeg", "image"), ("application/gzip", "file"), ("video/matroska", "video"),
        ("audio/ogg", "audio"), ("text/x-python", "file"), *[(None, None)] * 5,
    ]  # fmt: skip


def test_a_type_has_its_usual_extension_and_text_has_none():
    types = ("image/png", "IMAGE/JPEG; q=1", "audio/ogg", "application/pdf", DOCX, XLSB, XLSB.lower(),
             "video/quicktime",
             "text/html", "application/json", PLAIN, OCTETS, "x/unknown", "", "application/x-elf")  # fmt: skip
    assert [extension_for(media_type) for media_type in types] == [
        ".png", ".jpg", ".ogg", ".pdf", ".docx", ".xlsb", ".xlsb", ".mov", ".html", ".json", "", "", "", "", ".elf",
    ]  # fmt: skip


def test_an_alias_is_one_step_from_its_name():
    """No chain, no circle, no name that is another's alias: the comparison looks once."""
    assert [alias for alias, name in ALIASES.items() if name in ALIASES or canonical(name) != name] == []
    assert [alias for alias in ALIASES if alias != alias.lower() or alias.count("/") != 1] == []
