"""Law: the patterns of the WHATWG MIME Sniffing standard hold, and where we differ it is said and tested.

https://mimesniff.spec.whatwg.org as of 2026; the numbers are its sections. A dot in a pattern is any byte.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging._claims.media import HEAD_BYTES, observe

PATTERNS = {  # section, pattern, the standard's name
    "6.1": (
        (b"\0\0\1\0", "image/x-icon"), (b"\0\0\2\0", "image/x-icon"), (b"BM", "image/bmp"), (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"), (b"RIFF....WEBPVP", "image/webp"), (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
    ),
    "6.2": (
        (b"FORM....AIFF", "audio/aiff"), (b"ID3", "audio/mpeg"), (b"OggS\0", "application/ogg"),
        (b"MThd\0\0\0\6", "audio/midi"), (b"RIFF....AVI ", "video/avi"), (b"RIFF....WAVE", "audio/wave"),
    ),
    "6.3": (
        (b"." * 34 + b"LP", "application/vnd.ms-fontobject"), (b"\0\1\0\0", "font/ttf"), (b"OTTO", "font/otf"),
        (b"ttcf", "font/collection"), (b"wOFF", "font/woff"), (b"wOF2", "font/woff2"),
    ),
    "6.4": ((b"\x1f\x8b\x08", "application/x-gzip"), (b"PK\3\4", "application/zip"),
            (b"Rar!\x1a\7\0", "application/x-rar-compressed")),
    "7.1": ((b"%PDF-", "application/pdf"), (b"%!PS-Adobe-", "application/postscript")),
}  # fmt: skip
NAMES = {  # the registered name, where the standard keeps another
    "video/avi": "video/x-msvideo", "audio/wave": "audio/wav", "application/x-gzip": "application/gzip",
    "application/x-rar-compressed": "application/vnd.rar",
}  # fmt: skip
MORE = {  # what must follow besides: these few letters alone begin texts, and other files
    b"\0\0\1\0": b"\1\0\x10\x10\0\0", b"\0\0\2\0": b"\1\0\x10\x10\0\0", b"BM": bytes(12) + b"\x28\0\0\0",
    b"ID3": b"\4\0\0\0\0\0\0", b"\0\1\0\0": b"\0\x0c\0\x80\0\3\0\x40GDEF", b"OTTO": b"\0\x0c",
    b"ttcf": b"\0\1\0\0",
}  # fmt: skip
ROWS = [(pattern, name) for rows in PATTERNS.values() for pattern, name in rows]
ONLY_EOT = b"\0\0\0\0" * 2 + b"\1\0\2\0"  # its version, which the standard does not look at

TAGS = ("!DOCTYPE HTML", "HTML", "HEAD", "SCRIPT", "IFRAME", "H1", "DIV", "FONT", "TABLE", "A", "STYLE", "TITLE", "B",
        "BODY", "BR", "P")  # fmt: skip
PAGES = {"!DOCTYPE HTML", "HTML", "HEAD", "TITLE", "BODY"}  # every page has them; the others begin other texts too

BINARY = {*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)}  # section 3, "binary data byte"


@given(st.sampled_from(ROWS), st.binary(min_size=40, max_size=40), st.binary(max_size=60))
def test_each_pattern_names_its_type(row, wild, rest):
    pattern, name = row
    data = bytes(wild[at] if octet == 0x2E else octet for at, octet in enumerate(pattern))
    if name.endswith("fontobject"):
        data = ONLY_EOT + data[len(ONLY_EOT) :]
    seen = observe(data + MORE.get(pattern, b"") + b"\0" + rest)
    assert seen == NAMES.get(name, name) or (name == "application/ogg" and seen in {"audio/ogg", "video/ogg"})


@given(st.sampled_from(ROWS), st.text("abc xyz.", max_size=40))
def test_a_pattern_of_letters_alone_is_no_picture(row, text):
    """Differs: the standard looks at the pattern only, and a browser shows a broken picture."""
    pattern, name = row
    if pattern.replace(b"\n", b"").isascii() and pattern.isalnum():
        assert observe(pattern + text.encode()) == "text/plain", name


@given(
    st.sampled_from(TAGS),
    st.text("\t\n\f\r ", max_size=4),
    st.sampled_from([" ", ">", "\t>", "\n", "X", "", "-"]),
    st.lists(st.booleans(), min_size=13, max_size=13),
)
def test_the_tags_of_a_page_begin_a_page_in_any_case(tag, space, end, upper):
    """Differs for the rest: README files, components and chat logs begin with ``<h1>``, ``<script>`` and ``<a>``."""
    written = "".join(c.upper() if up else c.lower() for c, up in zip(tag, upper, strict=False))
    seen = observe(f"{space}<{written}{end}".encode())
    ends = end[:1] in {" ", ">", "\t", "\n"} and end != ""  # the standard knows the first two; readers of HTML all
    assert seen == ("text/html" if tag in PAGES and ends else "text/plain")


@given(st.sampled_from(sorted(PAGES)), st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_a_byte_order_mark_hides_no_page(tag, codec):
    """Differs: the standard says ``text/plain`` to every file with a mark."""
    assert observe(f"\ufeff <{tag}>".removeprefix("\ufeff").encode(codec)) == "text/html"


@pytest.mark.parametrize(("data", "seen"), [
    (b"<!-- a comment -->", "text/plain"),  # differs: it says nothing of what follows
    (b"<?xml version='1.0'?><a/>", "text/xml"),
    (b"\xfe\xff\0a", "text/plain"), (b"\xff\xfea\0", "text/plain"), (b"\xef\xbb\xbfa", "text/plain"),
    (b"", "text/plain"),
])  # fmt: skip
def test_the_rest_of_the_table(data, seen):
    assert observe(data) == seen


@given(st.integers(0, 255), st.integers(0, 60), st.binary(max_size=0) | st.just(b"x" * HEAD_BYTES))
def test_a_binary_data_byte_makes_a_file_binary_and_no_other_byte_does(octet, at, rest):
    text = bytearray(b"The quick brown fox jumps over the lazy dog, and then it goes.")
    text[at] = octet
    expected = "application/octet-stream" if octet in BINARY else "text/plain"
    assert observe(bytes(text) + rest) == expected


WRAPPED = ("", "<!-- Copyright -->\r\n", "\n\n<!-- a --><!-- b -->\n", "<script>x()</script>", "<style>a{}</style>\n",
           '<meta charset="utf-8">', "<link rel=icon href=x>\n<base href=/>")  # fmt: skip


@given(st.lists(st.sampled_from(WRAPPED), max_size=3).map("".join), st.sampled_from(sorted(PAGES)), st.booleans())
def test_what_a_browser_puts_into_the_head_hides_no_page(before, tag, marked):
    """A sign-in page that came instead of a file is one, whatever stands in front of it."""
    page = f"{before}<{tag}><title>Sign in</title><form></form>"
    assert observe(page.encode("utf-8-sig" if marked else "utf-8")) == "text/html"


SOURCES = (
    b'<h1 align="center">tool</h1>\n\n## Install\n\n```python\nx = 1\n```\n',
    b"<script setup lang='ts'>\nimport { ref } from 'vue'\n</script>\n\n<template>\n  <p/>\n</template>\n",
    b"<script>\n  let total = 0;\n</script>\n\n<h1>{total}</h1>\n",
    b"<html>\n<?php echo $total; ?>\n</html>\n",
    b"<?php echo 1 ?><html>",
    b"<div>\n<% @items.each do |item| %>\n  <%= item.name %>\n<% end %>\n</div>\n",
    b"<html><body><%= yield %></body></html>",
    b"<!DOCTYPE html>\n<html>{% block body %}{% endblock %}</html>",
    b"<table>\n{% for r in rows %}<tr></tr>{% endfor %}\n</table>\n",
    b"<a> hello, did it work?\n<bob> no\n",
    b"<P1> hello\n<P2> hi\n",
    b"<b>Note</b>: 3 < 5\n",
    b'<!-- generated -->\n<a name="v2"></a>\n# v2\n',
    b"<template>\n  <body/>\n</template>",
    b"<header>x</header>",
    b"<htmlx>",
    b"<Foo bar={1}/>",
)


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_begins_with_a_tag_is_no_page(source):
    """The kind of https://github.com/NousResearch/hermes-agent/issues/11860: the sender asks about the code."""
    assert observe(source) == "text/plain"
    assert observe(b"\n" + source) == observe(b"\xef\xbb\xbf" + source) == "text/plain"
