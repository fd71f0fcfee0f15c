"""The law of URLs: what is admitted leads where WHATWG URL says that it leads, so no parser is fooled.

The reader below follows https://url.spec.whatwg.org/#concept-basic-url-parser for http and https, in its own words. It
takes far more than a policy admits. So each URL that is admitted is read by a second parser that knows nothing of ours.
"""

import re
from urllib.parse import unquote_to_bytes

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from staging import RejectedError, UrlPolicy
from staging._net.policy import plain_target, target
from staging._net.urls import target_of

ANY = UrlPolicy(None, ("http", "https"), None, private=True)
POLICIES = (ANY, UrlPolicy.public(), UrlPolicy.discord(), UrlPolicy.only("*.example.com", "10.0.0.5", private=True))
PIECES = st.sampled_from(
    [
        *"/\\?#@:%.[]<>^|'\"` \t\n\r\0&=;,_-~0a", "//", "\\\\", "..", "/../", "/./", "%2f", "%40", "%00", "%2e",
        "@evil.example", "evil.example", "cdn.discordapp.com", ".evil.example", "127.0.0.1", "2130706433",
        "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "user:pw@", ":80", ":443", ":65536",
        ":0", "é", "ß", "。", "．", "\u200b", "\u2028", "１", "xn--", "https:", "http://", "javascript:", "\x7f",
        "\ufeff",
    ]
)  # fmt: skip
SCHEMES = st.sampled_from(
    ["https://", "http://", "HTTPS://", "https:", "https:/", "https:///", "//", "", "ftp://", " https://"]
)
URLS = st.builds(lambda scheme, pieces: scheme + "".join(pieces), SCHEMES, st.lists(PIECES, max_size=10))
ORDINARY = st.builds(
    lambda host, tail: f"https://{host}/{tail}",
    st.sampled_from(["cdn.discordapp.com", "a.example.com", "1.1.1.1", "[2606:4700::1]", "10.0.0.5"]),
    st.lists(PIECES, max_size=8).map("".join),
)


def whatwg(url):
    """Return (scheme, host, port, path and query) as a browser reads the URL, or None if it is none."""
    text = re.sub(r"[\t\n\r]", "", url.strip("".join(map(chr, range(0x21)))))
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if not match or match[1].lower() not in ("http", "https"):
        return None
    scheme, rest = match[1].lower(), text[match.end() :].lstrip("/\\")
    authority = re.match(r"[^/\\?#]*", rest)[0]
    tail = rest[len(authority) :].partition("#")[0]
    path, mark, query = tail.partition("?")
    hostname, _, port = authority.rpartition("@")[2], "", ""
    if match := re.fullmatch(r"(.*?)(?::([0-9]*))?", hostname, re.DOTALL):
        hostname, port = match[1], match[2] or ""
    return (
        scheme,
        hostname.lower(),
        int(port or {"http": 80, "https": 443}[scheme]),
        (path.replace("\\", "/"), mark + query),
    )


def segments(path):
    """Return the segments of a path, those of dots resolved, percent signs decoded."""
    found = []
    parts = path.removeprefix("/").split("/")
    for number, part in enumerate(parts):
        if part in (".", ".."):
            del found[len(found) - (part == "..") :]
            if number == len(parts) - 1:
                found.append("")
        else:
            found.append(part)
    return [unquote_to_bytes(part) for part in found]


@given(URLS | ORDINARY)
@example("https://evil.example\\@cdn.discordapp.com/")
@example("https://cdn.discordapp.com@evil.example/")
@example("https://cdn.discordapp.com#@evil.example/")
@example("https://cdn.discordapp.com:443:80/")
@example("https://cdn.discordapp.com/../../x?y#z")
@example("https://[2606:4700::1]:8443/a")
def test_admitted_means_the_origin_and_path_of_whatwg(url):
    for policy in POLICIES:
        try:
            found = plain_target(policy, url) or target(policy, url)
        except RejectedError:
            continue
        scheme, host, port, (path, query) = whatwg(url)
        assert (found.origin.scheme, found.origin.port) == (scheme, port)
        assert found.origin.host == host.strip("[]")
        ours, _, asked = found.path.partition("?")
        if "%2e" not in path.lower():  # a browser takes it for a dot: the same server, and its own file
            assert segments(ours) == segments(path)
        assert unquote_to_bytes(asked) == unquote_to_bytes(query.removeprefix("?"))
        assert found.path.isascii()
        assert not re.search(r"[\x00-\x20\x7f\\]", found.path)


HERE = "https://a.example.com/dir/file?q"


def followed(location):
    """Return what a browser asks for after `HERE` has answered with this Location, as `whatwg` does."""
    text = re.sub(r"[\t\n\r]", "", location.strip("".join(map(chr, range(0x21)))))
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if match and (match[1].lower() != "https" or re.match(r"[/\\]{2}", text[match.end() :])):
        return whatwg(text)
    text = text[match.end() :] if match else text
    if re.match(r"[/\\]{2}", text):
        return whatwg(f"https:{text}")
    path, mark, query = text.partition("#")[0].partition("?")
    path = path.replace("\\", "/")
    if not path:
        path, mark, query = "/dir/file", mark or "?", query if mark else "q"
    elif not path.startswith("/"):
        path = f"/dir/{path}"
    return "https", "a.example.com", 443, (path, mark + query)


@given(URLS | st.lists(PIECES, max_size=8).map("".join))
@example("https:///evil.example/x")
@example("http:\\\\a.example.com")
@example("https:/a/b")
@example("https:b?c")
@example("/\t/evil.example/")
@example("/\\evil.example/")
@example("\\evil.example@a.example.com/x")
@example("..\\x\\y?a\\b")
@example("?a b\\c")
@example("#x")
def test_a_redirect_leads_where_whatwg_says(location):
    for policy in POLICIES:
        here = httpx.URL(HERE)
        try:
            url = policy.check_redirect(here, location)
        except RejectedError:
            continue
        found, (scheme, host, port, (path, query)) = target_of(url), followed(location)
        assert (found.origin.scheme, found.origin.host, found.origin.port) == (scheme, host.strip("[]"), port)
        assert policy.check(found.url)  # what is asked for is what was judged
        ours, _, asked = found.path.partition("?")
        if "%2e" not in path.lower():
            assert segments(ours) == segments(path)
        assert unquote_to_bytes(asked) == unquote_to_bytes(query.removeprefix("?"))


HOSTS = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0")


def forms(ip):
    """Yield the ways in which `inet_aton` and browsers take this address."""
    a, b, c, d = (int(part) for part in ip.split("."))
    number = a << 24 | b << 16 | c << 8 | d
    yield from (str(number), hex(number), hex(number).upper(), f"0{number:o}", f"{a}.{number & 0xFFFFFF}")
    yield from (
        f"{a}.{b}.{number & 0xFFFF}",
        f"0x{a:x}.{b}.{c}.{d}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{ip}.",
        f"{ip}..",
    )
    yield from (
        f"[::ffff:{ip}]",
        f"[::{ip}]",
        f"[64:ff9b::{ip}]",
        f"[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::]",
        f"0{ip}",
        f"00{ip}",
    )
    yield from (
        "".join(chr(0xFF10 + int(c)) if c.isdigit() else c for c in ip),
        ip.replace(".", "。"),
        ip.replace(".", "%2e"),
    )


@pytest.mark.parametrize("ip", HOSTS)
def test_no_form_of_an_internal_address_is_admitted(ip):
    for host in (ip, *forms(ip)):
        for shape in (
            "https://{}/",
            "https://{}:443/x",
            "https://{}/latest/meta-data?a=b",
            "https://x@{}/",
            "https://{}#@1.1.1.1/",
        ):
            with pytest.raises(RejectedError) as refused:
                UrlPolicy.public().check(shape.format(host))
            assert refused.value.reason in {"not_allowed", "private_address"}
            assert refused.value.detail.isprintable()
            assert 10 < len(refused.value.detail) <= 300


@pytest.mark.parametrize("trick", [
    "https://{}.evil.example/", "https://evil.example/{}", "https://{}@evil.example/", "https://{}:pw@evil.example/",
    "https://evil.example\\@{}/", "https://evil.example#@{}/", "https://evil.example?@{}/", "https://{}%2eevil.example/",
    "https://{}:443@evil.example/", "https://evil{}/", "https://x{}/", "https://{}./", "https://{}\t/", "https://{} /",
    "https://{}\\x/", "http://{}/", "https://{}:80/", "ftp://{}/", "//{}/", "{}", "https:{}/", "https:/{}/", "https:///{}/",
    "https://{}\u200b/", "https://{}%00/", "https://[{}]/", "https://{}:/x:y@evil.example", "https://{}:-443/", "https://{}:4_43/",
    "https://{}:٤٤٣/", "https://{}:65979/", "javascript://{}/%0aalert(1)", "data://{}/x", "https://sub.{}/",
])  # fmt: skip
def test_nothing_that_only_looks_like_a_named_host_is_admitted(trick):
    """Suffixes, prefixes, userinfo, delimiters, ports and schemes round about a host that is on the list."""
    for host in ("cdn.discordapp.com", "media.discordapp.net"):
        url = trick.format(host)
        if url == f"https://{host}:/x:y@evil.example":
            assert UrlPolicy.discord().check(url).host == host  # an empty port, and a path with an @ in it
            continue
        with pytest.raises(RejectedError) as refused:
            UrlPolicy.discord().check(url)
        assert refused.value.detail.isprintable()
