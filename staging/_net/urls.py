"""Read URLs by one narrow grammar, and again by the client's parser.

Theory of operation. Several parsers read one URL, and each difference between two of them can be used for an attack. So
a URL is not repaired and not interpreted. Its authority must match a grammar in which all parsers agree. The client's
own parser must then report the scheme, host and port that the grammar found in the text.

The client's parser is httpx's. It is imported where it is asked, and a plain URL never asks it. Most of the time of
``import staging`` would be spent on httpx, and a download of a plain URL without a caller's client never loads it.
"""

import contextlib
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple

from staging._errors import RejectedError
from staging._late import importing
from staging._rare import rare
from staging._text import bare_url, one_line

if TYPE_CHECKING:
    import httpx

MAX_URL_LENGTH = 8000  # characters; what RFC 9110 section 4.1 asks every recipient to support
DEFAULT_PORTS = {"http": 80, "https": 443}
# re.ASCII, or re.IGNORECASE takes U+017F for "s" and U+212A for "k"
URL = rare(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)"  # no userinfo, no percent sign, no zone id, nothing that IDNA would map
    r"(?::(?P<port>[0-9]{0,5}))?"  # int() takes "-443", "4_43" and Arabic digits: the parser does too
    r"(?:/[^\x00-\x20\x7f-\x9f\\]*"
    r"|[?#][^\x00-\x20\x7f-\x9f\\@]*)?",  # curl once dialled what follows that @ (CVE-2016-8624)
    re.ASCII | re.IGNORECASE,
)
# Narrower: what every parser leaves as it stands, so it may be dialled as it stands. Nearly every URL is of this kind.
# No group is possessive (see `http1`).
_TEXT = r"(?:[A-Za-z0-9._~!$&()*+,;=:@-]++|%[0-9A-Fa-f]{2})*"
PLAIN_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>(?!(?:[^/]*\.)?xn--)[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    rf"(?P<path>(?:/(?!\.){_TEXT})+(?:\?(?:{_TEXT}[/?])*{_TEXT})?)",  # a segment of dots would be resolved
    re.ASCII,
)
_UNPRINTABLE = rare(r"[\x00-\x20\x7f-\x9f\\]")  # a backslash is a slash to WHATWG and data to RFC 3986
_SCHEME = rare(r"([a-z][a-z0-9+.-]{0,15})://", re.ASCII | re.IGNORECASE)
# RFC 1123 section 2.1 and RFC 1035 section 2.3.4; the underscore is for real hosts (buckets, service records)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_MAX_NAME = 253
# WHATWG "ends in a number": what inet_aton, and so getaddrinfo, takes for an address in octal, hex or fewer parts
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)
# Names that only a local network, a cluster or a cloud's own resolver answers.
_INTERNAL_NAMES = (
    ".localhost",  # RFC 6761
    ".local", ".intranet", ".internal", ".private", ".corp", ".home", ".lan",  # RFC 6762 and its appendix G
    ".home.arpa",  # RFC 8375
    ".localdomain", ".localnet", ".intra", ".priv", ".loc", ".prv",  # /etc/hosts and DHCP of many systems
    ".svc", ".cluster", ".pod", ".node", ".endpoint", ".endpoints",  # Kubernetes, with and without its cluster domain
    ".consul", ".nomad", ".mesos", ".marathon", ".rancher", ".swarm", ".docker",  # other schedulers
    ".metadata.goog", ".metadata.tencentyun.com",  # cloud metadata under public suffixes
    ".fritz.box", ".speedport.ip", ".router", ".gateway",  # routers at home
)  # fmt: skip

DISCORD_HOSTS = ("cdn.discordapp.com", "media.discordapp.net")


class Origin(NamedTuple):
    """A scheme, a host and a port (RFC 6454 section 4).

    Connections and credentials are kept for each origin. The host is in lower case and without brackets, the port is
    never left out.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return self.host


class Target(NamedTuple):
    """What a request goes to.

    Args:
        origin: where it goes.
        path: path and query in the form in which they are sent (RFC 9112 section 3.2.1, origin-form).
    """

    origin: Origin
    path: str

    @property
    def authority(self) -> str:
        """Host and port for the Host field (RFC 9110 section 7.2).

        The scheme's own port is left out.
        """
        scheme, host, port = self.origin
        host = f"[{host}]" if ":" in host else host
        return host if port == DEFAULT_PORTS[scheme] else f"{host}:{port}"

    @property
    def url(self) -> str:
        """The absolute URL, with its query."""
        return f"{self.origin.scheme}://{self.authority}{self.path}"

    def __repr__(self) -> str:
        return f"<Target {bare_url(self.url)}>"


def target_of(url: "httpx.URL") -> Target:
    """Return the target that the client requests for `url`."""
    return Target(origin(url), url.raw_path.decode("ascii"))


def origin(url: "httpx.URL") -> Origin:
    """Return the origin that the client contacts for `url`."""
    port = DEFAULT_PORTS.get(url.scheme, 0) if url.port is None else url.port
    return Origin(url.scheme, url.raw_host.decode("ascii").lower(), port)


def not_allowed(detail: str, hint: str = "", host: str | None = None) -> RejectedError:
    """Return the error for a URL that the policy does not admit."""
    return RejectedError("not_allowed", one_line(detail), hint=one_line(hint), host=host)


def parsed(url: "str | httpx.URL", expected: Origin) -> "httpx.URL":
    """Return the client's reading of a URL, if as expected."""
    with importing():
        import httpx  # noqa: PLC0415  # see the theory of operation
    with contextlib.suppress(httpx.InvalidURL, UnicodeError):
        parsed = url if isinstance(url, httpx.URL) else httpx.URL(_DOTS_AT_END.sub(r"\g<0>/", url))
        # `host` decodes A-labels, and raises for a false one: better here than when it is dialled
        if origin(parsed) == expected and not parsed.userinfo and parsed.host:
            return parsed
    raise not_allowed("malformed URL: the client reads it differently")


# RFC 3986 section 5.2.4: "/a/.." is "/"; of "/a/b/.." the client's parser makes "/a"
_DOTS_AT_END = rare(r"\A[^?#]*/\.\.?(?![^?#])")


def what_is_wrong(text: str, schemes: tuple[str, ...]) -> tuple[str, str]:
    """Return detail and hint on why a URL is refused.

    They are for a person, and decide nothing. Of the URL they show no more than the scheme.
    """
    admitted = f"admitted: {listed(schemes)}; UrlPolicy.only(schemes=...) names others"
    if len(text) > MAX_URL_LENGTH:
        return f"URL of {len(text):,} characters; the limit is {MAX_URL_LENGTH:,}", ""
    if _UNPRINTABLE.search(text):
        return "URL with a control character, space or backslash", ""
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "not an absolute URL", f"it must start with {' or '.join(f'{s}://' for s in schemes)}; {_LOCAL}"
    if (named := scheme[1].lower()) not in DEFAULT_PORTS:
        return f"scheme {named!r} is not admitted", _INSTEAD.get(named, admitted)
    authority = re.split("[/?#]", text[scheme.end() :], maxsplit=1)[0]
    faults = (
        (not authority, "URL without a host", ""),
        ("@" in authority, "URL with a user name or password", ""),
        ("%" in authority, "percent sign in the host", ""),
        (not authority.isascii(), "host with non-ASCII characters", "write it with A-labels (xn--...)"),
        (True, "malformed host or port, or '@' in a URL without a path", ""),
    )
    return next((detail, hint) for found, detail, hint in faults if found)


_LOCAL = "a file of this machine is given as a pathlib.Path"
_INSTEAD = {
    "file": _LOCAL,
    # https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid
    "mxc": "give https://<homeserver>/_matrix/client/v1/media/download/<server>/<id>, with the token in `headers`",
}


def reference(location: bytes | str, scheme: str) -> str:
    """Return the value of a Location field as a reference in ASCII.

    It is read as WHATWG URL does (section 4.4). Tabs do not count, a backslash is a slash, and any number of slashes
    stands before a host. A space or a byte that is not ASCII is percent-encoded in path, query and fragment. In the
    authority it is refused, since parsers differ there.

    Args:
        location: the value, as received.
        scheme: that of the URL which answered, since ``https:x`` is a path where the scheme stays the same.

    Raises:
        RejectedError: ``redirects``, if it is no usable reference.
    """
    octets = location.encode(errors="replace") if isinstance(location, str) else location
    if len(octets) > MAX_URL_LENGTH:
        raise _nowhere(f"Location of {len(octets):,} characters; the limit is {MAX_URL_LENGTH:,}")
    octets = octets.replace(b"\t", b"").strip(b" ")
    if not octets:
        raise _nowhere("empty Location")
    if _CONTROL.search(octets):
        raise _nowhere("Location with a control character")
    path, *rest = _QUERY.split(octets, maxsplit=1)
    path = path.replace(b"\\", b"/")
    [(named, slashes)] = _SLASHES.findall(path)
    has_host = len(slashes) >= 2 or named.lower() not in {b"", f"{scheme}:".encode()}
    octets = (named + b"//" if has_host else slashes) + path[len(named + slashes) :] + b"".join(rest)
    authority = match[0] if (match := _AUTHORITY.match(octets)) else b""
    if _TO_ENCODE.search(authority):
        raise _nowhere("Location with a space or non-ASCII character in the host")
    behind = _TO_ENCODE.sub(lambda found: b"%%%02X" % found[0][0], octets[len(authority) :])
    return (authority + behind).decode("ascii")


_CONTROL = rare(rb"[\x00-\x1f\x7f]")
_QUERY = rare(rb"([?#].*)", re.DOTALL)
_SLASHES = rare(rb"\A((?:https?:)?)(/*+)", re.IGNORECASE)
_AUTHORITY = rare(rb"(?:[A-Za-z][A-Za-z0-9+.-]*+:)?//[^/?#]*+")
_TO_ENCODE = rare(rb"[ \x80-\xff\\]")  # the backslash of a query is data, and this grammar has none


def _nowhere(fault: str) -> RejectedError:
    return RejectedError("redirects", f"redirect to nowhere: {fault}")


def joined(current: "httpx.URL", location: str) -> str:
    """Return the absolute form of a reference (RFC 3986 section 5.2.2).

    A path, a query or a fragment is put behind what it is relative to. Dots in it are resolved by the client's parser.
    """
    if location.startswith("//"):
        return f"{current.scheme}:{location}"
    if ":" in re.split("[/?#]", location, maxsplit=1)[0]:  # section 4.2: a colon here can only end a scheme
        return location
    base = target_of(current)
    path = base.path.partition("?")[0]
    behind = {"/": "", "?": path, "#": base.path, "": base.path}.get(location[:1], path[: path.rindex("/") + 1])
    return base.url.removesuffix(base.path) + behind + location


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return a lower-case host as an address, or None for a name.

    Raises:
        ValueError: if it is neither: a number in any form but the dotted quad, or brackets around something else.
    """
    if host.startswith("["):
        if not host.endswith("]") or "%" in host:
            raise ValueError("not an IPv6 address")
        return IPv6Address(host[1:-1])
    return IPv4Address(host) if _ENDS_IN_NUMBER.fullmatch(host) else None


def is_name(host: str) -> bool:
    return len(host) <= _MAX_NAME and _NAME.fullmatch(host) is not None


def is_internal(name: str) -> bool:
    return "." not in name or f".{name}".endswith(_INTERNAL_NAMES)


def listed(values: Iterable[object] | None) -> str:
    return "any" if values is None else ", ".join(map(str, values))


def expires_at(url: str) -> float | None:
    """Return when a signed link of Discord's CDN ends, or None.

    The time is in seconds since 1970, and stands in `ex` as a hexadecimal number.
    """
    if len(url) > MAX_URL_LENGTH or not url.startswith(_SIGNED):
        return None
    signed = _EXPIRY.search(url.partition("#")[0])
    return float(int(signed[1], 16)) if signed else None


_SIGNED = tuple(f"https://{host}/" for host in DISCORD_HOSTS)
_EXPIRY = rare(r"[?&]ex=([0-9A-Fa-f]{1,16})[0-9A-Fa-f]*+(?:&|$)")
