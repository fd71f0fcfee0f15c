"""The law of hosts: only what a policy names is admitted, and what is admitted is what the text says."""

import contextlib

import httpx
from hypothesis import assume, example, given
from hypothesis import strategies as st

from staging._errors import RejectedError
from staging._net.policy import UrlPolicy
from staging._net.urls import origin

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LABELS = st.from_regex(r"[a-z]([a-z0-9_-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda text: text[2:4] != "--")
NAMES = st.lists(LABELS, min_size=2, max_size=5).map(".".join)
DELIMITERS = st.sampled_from([*"@:/?#\\%.;&[]_-^|`~ \t\r\n\x00\x7f\x85\u200b\u3002\uff0e\u017f\u212a", "%2e", "xn--"])


def admitted(policy, url):
    """Return what would be dialled, or None."""
    with contextlib.suppress(RejectedError):
        return policy.check(url)
    return None


def random_case(name, bits):
    return "".join(c.upper() if bits >> i & 1 else c for i, c in enumerate(name))


@given(NAMES, st.lists(LABELS, min_size=1, max_size=3).map(".".join))
def test_a_wildcard_stands_for_whole_labels_before_a_name_and_for_nothing_else(name, prefix):
    policy = UrlPolicy.only(f"*.{name}")
    assert admitted(policy, f"https://{prefix}.{name}/")
    assert not admitted(policy, f"https://{name}/")
    assert not admitted(policy, f"https://{prefix}{name}/")
    assert not admitted(policy, f"https://{prefix}-{name}/")
    assert not admitted(policy, f"https://{name}.{prefix}/") or f"{name}.{prefix}".endswith(f".{name}")


@given(NAMES, NAMES)
def test_a_name_admits_itself_in_any_case_and_no_other(name, other):
    policy = UrlPolicy.only(name)
    assume(name != other)
    assert admitted(policy, f"https://{name}/")
    assert not admitted(policy, f"https://{other}/")
    assert not admitted(policy, f"https://{other}.{name}/")
    assert not admitted(policy, f"https://{name}.{other}/")


@given(NAMES, st.integers(min_value=0))
def test_case_does_not_matter_on_either_side(name, bits):
    url = admitted(UrlPolicy.only(random_case(name, bits)), f"https://{random_case(name, ~bits)}/")
    assert origin(url) == ("https", name, 443)


@given(NAMES, NAMES, DELIMITERS, DELIMITERS)
@example("evil.com", "cdn.discordapp.com", "\\", "@")  # Discord to httpx, evil.com to browsers
@example("cdn.discordapp.com", "evil.com", "#", "@")  # CVE-2016-8624
def test_no_delimiter_smuggles_a_second_host_past_the_list(one, two, first, second):
    """Whatever stands between two names: what is dialled is the listed one, and it is the whole authority."""
    for listed in (one, two):
        text = f"https://{one}{first}{second}{two}/"
        url = admitted(UrlPolicy.only(listed), text)
        if url is not None:
            assert origin(url) == ("https", listed, 443)
            assert text[8:].startswith(listed)
            assert not text[8 + len(listed) :].strip(":").strip("/?#") or text[8 + len(listed)] in ":/?#"


@given(st.text(max_size=30), st.sampled_from(["https://", "http://", "HTTPS://", "//", ""]))
@example("a.example:443", "https://")
@example("[::1]", "https://")
def test_any_text_is_admitted_or_refused_with_one_plain_line(authority, scheme):
    policy = UrlPolicy(None, ("https", "http"), None, private=True)
    text = f"{scheme}{authority}/"
    try:
        url = policy.check(text)
    except RejectedError as error:
        assert error.reason in {"not_allowed", "private_address"}
        assert error.detail.isprintable()
        return
    cut = text.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    host, _, port = cut.rpartition(":") if ":" in cut.rpartition("]")[2] else (cut, "", "")
    default = {"http": 80, "https": 443}[url.scheme]
    assert cut.isascii()
    assert origin(url) == (text.partition(":")[0].lower(), host.strip("[]").lower(), int(port or default))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_whatever_follows_the_host_does_not_change_what_is_dialled(rest):
    url = admitted(UrlPolicy.discord(), f"https://cdn.discordapp.com/{rest}")
    if url is None:
        assert any(c <= " " or "\x7f" <= c <= "\x9f" or c == "\\" for c in rest)
    else:
        assert origin(url) == ("https", "cdn.discordapp.com", 443)


@given(
    st.sampled_from(["", "/", "?", "../", "//", "///", "https:", "https:/", "https://", "HTTP://", "x://"]),
    st.sampled_from(["", "a.example", "y.a.example", "evil.example"]),
    st.text(alphabet="./?#:@%\\abx \n-\u20ac[]", max_size=10),
)
def test_a_redirect_never_leaves_the_list_and_a_relative_one_never_leaves_the_host(prefix, host, rest):
    location = prefix + host + rest
    policy = UrlPolicy.only("a.example", "*.a.example")
    here = httpx.URL("https://x.a.example/dir/file?q")
    with contextlib.suppress(RejectedError):
        url = policy.check_redirect(here, location)
        assert url.raw_host == b"a.example" or url.raw_host.endswith(b".a.example")
        assert origin(url) == ("https", url.host, 443)
        assert not url.userinfo
        if prefix in {"", "/", "?", "../"} and not location.startswith("//"):
            assert origin(url) == origin(here)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_no_number_is_a_name(number, form):
    """What inet_aton reads as an address in another form than the dotted quad is refused even where all is allowed."""
    policy = UrlPolicy(None, ("https",), None, private=True)
    a, b = number >> 24, number & 0xFFFFFF
    text = [str(number), hex(number), f"{a}.{b}", f"0x{a:x}.{b >> 16}.{b & 0xFFFF}"][form]
    for host in (text, f"{text}.", f"x.{text}"):
        assert not admitted(policy, f"https://{host}/")
