"""The law of targets: the short way to read a URL reads nothing that the client's parser reads differently."""

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from staging import RejectedError, UrlPolicy
from staging._net.policy import plain_target, target
from staging._net.urls import PLAIN_URL

ANY = UrlPolicy(None, ("http", "https"), None, private=True)
POLICIES = (ANY, UrlPolicy.discord(), UrlPolicy.public(), UrlPolicy.only("*.example.org", "10.0.0.5", private=True))
PIECES = st.sampled_from(
    [*"/?#%.:@&=;~ \\'\"<>[]{}^|`*!$()+,_-", "..", "./", "/../", "%2e", "%2E%2f", "%zz", "%", "a", "Z9", "é", "\u2028"]
)
HOSTS = st.sampled_from(["a.example", "A.example", "xn--a", "xn--bcher-kva.example", "1.2.3.4", "1.2.3", "0x7f.1", "-a",
                         "a..b", "a.", "[::1]", "10.0.0.5", "x.example.org", "cdn.discordapp.com"])  # fmt: skip
PORTS = st.sampled_from(["", ":", ":0", ":80", ":443", ":0443", ":8443", ":65536", ":x"])
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}{path}",
    st.sampled_from(["http", "https", "HTTPS", "ftp"]), HOSTS, PORTS, st.lists(PIECES, max_size=12).map("".join),
)  # fmt: skip


def both_ways(policy, url):
    """Return what is dialled and asked for, or the refusal, read the short way (if it is one) and by the parser."""
    found = []
    for read in (lambda: plain_target(policy, url) or target(policy, url), lambda: target(policy, url)):
        try:
            found.append(read())
        except RejectedError as error:
            found.append((error.reason, error.detail))
    return found


@given(st.from_regex(PLAIN_URL, fullmatch=True) | URLS)
@example("https://cdn.discordapp.com/a/./b/../c?d")
@example("http://a.example:80/?")
@example("https://a.example/%e2%82%ac?x=%20/?")
@example("https://xn--a/")
@example("https://a.example/100%/x")  # these four: before Python 3.11.5, a possessive group ends within itself
@example("https://a.example/%a?x/")
@example("https://a.example//.")
@example("https://a.example/x/.?y%")
def test_both_ways_lead_to_the_same_target_or_the_same_refusal(url):
    for policy in POLICIES:
        short, long = both_ways(policy, url)
        assert short == long


@given(st.from_regex(PLAIN_URL, fullmatch=True))
def test_a_target_is_its_urls_normal_form(url):
    try:
        found = plain_target(ANY, url)
    except RejectedError:
        return
    assert httpx.URL(found.url) == httpx.URL(url)
    assert target(ANY, found.url) == found
    assert "?" not in repr(found)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://a.example:443/x?y#z", "a.example", "/x?y"),
        ("http://a.example:8080", "a.example:8080", "/"),
        ("https://a.example/x/y/..?a/..", "a.example", "/x/?a/.."),
        ("https://a.example/x/.#y", "a.example", "/x/"),
        ("https://[2001:DB8::1]:8443/é", "[2001:db8::1]:8443", "/%C3%A9"),
    ],
)
def test_host_and_path_are_what_the_wire_needs(url, authority, path):
    found = target(ANY, url)
    assert (found.authority, found.path) == (authority, path)
