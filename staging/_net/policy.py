"""What may be contacted: URLs and addresses are judged here, and nothing is contacted.

Theory of operation. A URL is a text that several parsers read, and every difference between two of them is a way in
(pitfalls 5 and 7). So a URL is not repaired and not interpreted: its authority must match one narrow grammar, in which
all parsers agree, and the client's own parser must then report the very scheme, host and port that the grammar cut out
of the raw text. What passes comes back as that parser's result, and only that is dialled.

A name proves nothing about the address behind it. Hence the second question, `check_address`, which the dialler asks
for every answer of the resolver. An address is public if no row of the tables below holds it and, for IPv6, if it is
global unicast; `ipaddress.is_global` is not asked (pitfall 8). IPv6 addresses that carry an IPv4 address are refused
whatever they carry: a translator decides where they lead. That includes NAT64, so on a network that reaches IPv4
through DNS64 alone, a host without an IPv6 address of its own counts as not public.

The client's parser is httpx's. It is imported where it is asked, which a plain URL never needs: httpx is most of what
``import staging`` would cost, and who downloads plain URLs without a client of his own never loads it.
"""

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from staging._errors import RejectedError
from staging._text import bare_url, one_line

if TYPE_CHECKING:
    import httpx

MAX_URL_LENGTH = 8000  # characters; what RFC 9110 section 4.1 asks every recipient to support

_DEFAULT_PORTS = {"http": 80, "https": 443}

# re.ASCII, or re.IGNORECASE takes U+017F for "s" and U+212A for "k"
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)"  # no userinfo, no percent sign, no zone id, nothing that IDNA would map
    r"(?::(?P<port>[0-9]{0,5}))?"  # int() takes "-443", "4_43" and Arabic digits: the parser does too
    r"(?:/[^\x00-\x20\x7f-\x9f\\]*"
    r"|[?#][^\x00-\x20\x7f-\x9f\\@]*)?",  # curl once dialled what follows that @ (CVE-2016-8624)
    re.ASCII | re.IGNORECASE,
)
# Narrower: what every parser leaves as it stands, so it may be dialled as it stands. Nearly every URL is of this kind.
_TEXT = r"(?:[A-Za-z0-9._~!$&()*+,;=:@-]++|%[0-9A-Fa-f]{2})*+"
_PLAIN_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>(?!(?:[^/]*\.)?xn--)[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    rf"(?P<path>(?:/(?!\.){_TEXT})++(?:\?(?:{_TEXT}[/?])*+{_TEXT})?)",  # a segment of dots would be resolved
    re.ASCII,
)
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\\]")  # a backslash is a slash to WHATWG and data to RFC 3986
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,15})://", re.ASCII | re.IGNORECASE)

# RFC 1123 section 2.1 and RFC 1035 section 2.3.4; the underscore is for real hosts (buckets, service records)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_MAX_NAME = 253

# WHATWG "ends in a number": what inet_aton, and so getaddrinfo, takes for an address in octal, hex or fewer parts
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)

# names that only a local network or a cloud's own resolver answers
_INTERNAL_NAMES = (
    ".localhost",  # RFC 6761
    ".local", ".intranet", ".internal", ".private", ".corp", ".home", ".lan",  # RFC 6762 and its appendix G
    ".home.arpa",  # RFC 8375
    ".localdomain",  # /etc/hosts of many systems
    ".metadata.goog", ".metadata.tencentyun.com",  # cloud metadata under public suffixes
)  # fmt: skip


class Origin(NamedTuple):
    """Scheme, host and port: what connections and credentials are keyed by (RFC 6454 section 4); never an address.

    The host is in lower case and without brackets, the port is never left out.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return self.host


class Target(NamedTuple):
    """What a request goes to.

    Args:
        origin: whom it asks.
        path: path and query in the form in which they are sent (RFC 9112 section 3.2.1, origin-form).
    """

    origin: Origin
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host field has them: without the scheme's own port (RFC 9110 section 7.2)."""
        scheme, host, port = self.origin
        host = f"[{host}]" if ":" in host else host
        return host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"

    @property
    def url(self) -> str:
        """The absolute URL, signature and all."""
        return f"{self.origin.scheme}://{self.authority}{self.path}"

    def __repr__(self) -> str:
        return f"<Target {bare_url(self.url)}>"


class _Block(NamedTuple):
    """A row of a table: the first and last address as numbers, what lives there, and who says so."""

    first: int
    last: int
    name: str
    source: str


_Rows = tuple[tuple[str, str, str], ...]  # block, what lives there, and who says so


@functools.cache
def _table(rows: _Rows) -> dict[int, tuple[_Block, ...]]:
    """Return the rows by IP version, in order: where blocks overlap, the earlier row names the address.

    Parsed at the first question, since parsing takes a tenth of the time of ``import staging``.
    """
    blocks: dict[int, list[_Block]] = {4: [], 6: []}
    for cidr, name, source in rows:
        network = ip_network(cidr)
        blocks[network.version].append(
            _Block(int(network.network_address), int(network.broadcast_address), name, source)
        )
    return {version: tuple(found) for version, found in blocks.items()}


# Refused by every policy: nothing there is a host.
_NOWHERE = (
    ("0.0.0.0/32", "unspecified", "RFC 1122"),
    ("224.0.0.0/4", "multicast", "RFC 1112"),
    ("255.255.255.255/32", "limited broadcast", "RFC 8190"),
    ("::/128", "unspecified", "RFC 4291"),
    ("ff00::/8", "multicast", "RFC 4291"),
)

# Refused by every policy that does not name the address: whoever reads these holds the machine's credentials.
_METADATA = (
    ("169.254.169.254/32", "cloud metadata", "AWS, Azure, Google, Oracle, OpenStack"),
    ("169.254.170.2/32", "cloud metadata", "AWS ECS"),
    ("169.254.170.23/32", "cloud metadata", "AWS EKS"),
    ("169.254.42.42/32", "cloud metadata", "Scaleway"),
    ("169.254.0.23/32", "cloud metadata", "Tencent"),
    ("100.100.100.200/32", "cloud metadata", "Alibaba"),
    ("100.96.0.96/32", "cloud metadata", "Volcengine"),
    ("168.63.129.16/32", "cloud metadata", "Azure WireServer"),
    ("192.0.0.192/32", "cloud metadata", "Oracle Classic"),
    ("fd00:ec2::/32", "cloud metadata", "AWS"),
    ("fd20:ce::254/128", "cloud metadata", "Google"),
    ("fd00:c1::a9fe:a9fe/128", "cloud metadata", "Oracle"),
    ("fd00:42::42/128", "cloud metadata", "Scaleway"),
    ("fd00:100::100:200/128", "cloud metadata", "Alibaba"),
    ("fd00:a9fe:a9fe::1/128", "cloud metadata", "Akamai"),
)

# Refused unless private=True: the IANA special-purpose registries (RFC 6890, RFC 8190) and what else is not a public
# unicast host. Blocks that a registry calls globally reachable (AS112, AMT) are listed: no attachment lives there.
_SPECIAL = (
    *_NOWHERE,
    *_METADATA,
    ("0.0.0.0/8", "this network", "RFC 791"),
    ("10.0.0.0/8", "private use", "RFC 1918"),
    ("100.64.0.0/10", "shared address space", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122"),
    ("169.254.0.0/16", "link-local", "RFC 3927"),
    ("172.16.0.0/12", "private use", "RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "AS112", "RFC 7535"),
    ("192.52.193.0/24", "AMT", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast", "RFC 7526"),
    ("192.168.0.0/16", "private use", "RFC 1918"),
    ("192.175.48.0/24", "AS112", "RFC 7534"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("240.0.0.0/4", "reserved", "RFC 1112"),
    ("::1/128", "loopback", "RFC 4291"),
    ("100::/64", "discard-only", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/32", "Teredo", "RFC 4380"),
    ("2001::/23", "IETF protocol assignments", "RFC 2928"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "6to4", "RFC 3056"),
    ("2620:4f:8000::/48", "AS112", "RFC 7534"),
    ("3ffe::/16", "returned 6bone space", "RFC 3701"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "SRv6 segment identifiers", "RFC 9602"),
    ("fc00::/7", "unique local", "RFC 4193"),
    ("fe80::/10", "link-local", "RFC 4291"),
    ("fec0::/10", "site-local", "RFC 3879"),
)


def _low(number: int) -> tuple[int, ...]:
    return (number & 0xFFFF_FFFF,)


def _6to4(number: int) -> tuple[int, ...]:
    return (number >> 80 & 0xFFFF_FFFF,)


def _teredo(number: int) -> tuple[int, ...]:
    """Return the server and the client; the client is stored inverted (RFC 4380 section 4)."""
    return number >> 64 & 0xFFFF_FFFF, ~number & 0xFFFF_FFFF


def _nat64_local(number: int) -> tuple[int, ...]:
    """Return the readings for prefixes of 96, 48, 56 and 64 bits (RFC 6052 section 2.2); a zero is no address.

    Only the network knows which of them it uses. Octet 8 is never a part of the IPv4 address, hence the squeeze.
    """
    squeezed = number >> 64 << 56 | number & (1 << 56) - 1
    readings = (number & 0xFFFF_FFFF, *(squeezed >> shift & 0xFFFF_FFFF for shift in (40, 32, 24)))
    return tuple(reading for reading in readings if reading)


class _Embedding(NamedTuple):
    """A form of IPv6 address that carries IPv4 addresses: those whose bits under `mask` equal `value`."""

    value: int
    mask: int
    name: str
    source: str
    read: Callable[[int], tuple[int, ...]]


def _embedding(cidr: str, name: str, source: str, read: Callable[[int], tuple[int, ...]]) -> _Embedding:
    network = ip_network(cidr)
    return _Embedding(int(network.network_address), int(network.netmask), name, source, read)


@functools.cache
def _embeddings() -> tuple[_Embedding, ...]:
    return (
        _embedding("::ffff:0:0/96", "IPv4-mapped", "RFC 4291", _low),
        _embedding("::ffff:0:0:0/96", "IPv4-translated", "RFC 7915", _low),
        _embedding("::/96", "IPv4-compatible", "RFC 4291", _low),
        _embedding("64:ff9b::/96", "NAT64", "RFC 6052", _low),
        _embedding("64:ff9b:1::/48", "local-use NAT64", "RFC 8215", _nat64_local),
        _embedding("2002::/16", "6to4", "RFC 3056", _6to4),
        _embedding("2001::/32", "Teredo", "RFC 4380", _teredo),
        # an interface identifier under any prefix: the mask leaves that out, and the bits "universal" and "group"
        _Embedding(0x5EFE << 32, 0xFCFF_FFFF << 32, "ISATAP", "RFC 5214", _low),
    )


def _block_of(rows: _Rows, address: IPv4Address | IPv6Address) -> str | None:
    """Return name and source of the first row that holds the address, as words."""
    number = int(address)
    for block in _table(rows)[address.version]:
        if block.first <= number <= block.last:
            return f"{block.name} ({block.source})"
    return None


def _embedded(address: IPv4Address | IPv6Address) -> Iterator[tuple[_Embedding, IPv4Address]]:
    """Yield each IPv4 address that an IPv6 address carries, with the form that carries it."""
    if address.version == 6:
        number = int(address)
        for form in _embeddings():
            if number & form.mask == form.value:
                for reading in form.read(number):
                    yield form, IPv4Address(reading)


def _why_not_public(address: IPv4Address | IPv6Address) -> str | None:
    """Return in words why an address is not a public unicast host; None if it is one."""
    if block := _block_of(_SPECIAL, address):
        return block
    if address.version == 4:
        return None
    for form, carried in _embedded(address):
        return f"it carries {carried} ({form.name}, {form.source})"
    return None if int(address) >> 125 == 0b001 else "outside 2000::/3, the global unicast space (RFC 4291)"


def _why_never(address: IPv4Address | IPv6Address, named: tuple[str, ...]) -> str | None:
    """Return in words why not even a private policy admits an address; None if it does. `named` are its hosts."""
    for one in (address, *(carried for _, carried in _embedded(address))):
        block = _block_of(_NOWHERE, one) or (None if str(one) in named else _block_of(_METADATA, one))
        if block:
            return block
    return None


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What may be contacted. Only what is named here, or public, is: by URL, by redirect and by address.

    Make one with `discord`, `only` or `public`; `dataclasses.replace` changes a field.

    Args:
        hosts: names, IP addresses, and ``*.`` followed by a name, which stands for one or more whole labels before it
            and never for the name itself; None for any host. Kept in lower case, names as A-labels, addresses in
            their shortest form.
        schemes: ``https``, ``http`` or both.
        ports: 1 to 65535; None for any.
        private: whether addresses that are not public may be dialled, and with ``hosts=None`` internal names too.
            Unspecified, multicast and broadcast addresses stay refused. Cloud metadata stays refused too, unless
            `hosts` names the address itself; then whichever admitted host leads there may.
        max_redirects: how many are followed.

    Raises:
        ValueError: if a field is nonsense, naming it.
    """

    hosts: tuple[str, ...] | None
    schemes: tuple[str, ...]
    ports: tuple[int, ...] | None
    private: bool
    max_redirects: int = 3

    def __post_init__(self) -> None:
        if self.hosts is not None:
            object.__setattr__(self, "hosts", tuple(map(_host_pattern, _items("hosts", self.hosts))))
        object.__setattr__(self, "schemes", tuple(map(_known_scheme, _items("schemes", self.schemes))))
        if self.ports is not None:
            object.__setattr__(self, "ports", tuple(map(_port_number, _items("ports", self.ports))))
        if not isinstance(self.private, bool):
            raise ValueError(f"private must be True or False, not {self.private!r}")  # noqa: TRY004  # as for Limits
        if not _is_count(self.max_redirects):
            raise ValueError(f"max_redirects must be a whole number of 0 or more, not {self.max_redirects!r}")

    @classmethod
    def discord(cls) -> Self:
        """Return the policy for Discord's attachments: https, port 443, its two hosts and nothing else."""
        return cls.only("cdn.discordapp.com", "media.discordapp.net")

    @classmethod
    def only(
        cls,
        *hosts: str,
        schemes: tuple[str, ...] = ("https",),
        ports: tuple[int, ...] | None = (443,),
        private: bool = False,
    ) -> Self:
        """Return a policy that admits the named hosts and no other.

        Args:
            hosts: as for the class. ``*.example.org`` admits ``a.example.org`` and ``a.b.example.org``, never
                ``example.org``.
            schemes: as for the class.
            ports: as for the class; ``http`` is served on 80.
            private: as for the class. A named host may not resolve to a private address either, unless this is set.

        Raises:
            ValueError: as for the class.
        """
        return cls(hosts, schemes, ports, private)

    @classmethod
    def public(cls) -> Self:
        """Return a policy that admits any host on https, port 443, whose addresses are all public."""
        return cls(None, ("https",), (443,), private=False)

    def check(self, url: "str | httpx.URL") -> "httpx.URL":
        """Return the URL as the client will dial it, if this policy admits it.

        Of the result, scheme, host and port are what stands in the text, not what some parser makes of it. Refused
        are: userinfo (RFC 9110 section 4.2.4), percent signs, zone ids and non-ASCII characters in the authority,
        names with empty labels, a trailing dot or a numeric last label that is not a dotted quad (WHATWG URL, "ends
        in a number"), control characters, spaces and backslashes anywhere, and more than 8,000 characters (RFC 9110
        section 4.1).
        An IP address as the host is judged at once; a name's addresses are `check_address`'s business.

        Args:
            url: an absolute URL.

        Raises:
            RejectedError: ``private_address`` if the host is an address or an internal name that is not public;
                ``not_allowed`` in every other case. The detail never shows userinfo, path or query.
        """
        text = str(url)
        match = _URL.fullmatch(text) if len(text) <= MAX_URL_LENGTH else None
        if match is None:
            raise _not_allowed(_what_is_wrong(text, self.schemes))
        return _parsed(url, _admitted(self, match["scheme"].lower(), match["host"].lower(), match["port"]))

    def check_address(self, ip: str | IPv4Address | IPv6Address) -> None:
        """Return if this policy admits the address: a public unicast one, or with `private` nearly any.

        Args:
            ip: one answer of a resolver, or the host of a URL. A zone id is refused: it names an interface of this
                machine.

        Raises:
            RejectedError: ``private_address`` if the address is not admitted, or is none.
        """
        address = _address(ip)
        why = _why_never(address, self.hosts or ()) if self.private else _why_not_public(address)
        if why:
            own = not self.private and _why_never(address, self.hosts or ()) is None
            hint = "; UrlPolicy.only(private=True) admits your own network's" if own else ""
            raise RejectedError("private_address", f"address {address} is not admitted: {why}{hint}")

    def check_redirect(self, current: "httpx.URL", location: bytes | str) -> "httpx.URL":
        """Return where a redirect leads, if this policy admits that.

        The reference is resolved against `current` (RFC 3986 section 5.2). One with a scheme or with ``//`` goes to
        `check` as it stands, so ``https:x`` and ``///x``, which parsers resolve differently, are refused.

        Args:
            current: the URL that answered with the redirect; `check` has admitted it.
            location: the value of the Location field, as received.

        Raises:
            RejectedError: ``redirects`` if the value is no usable reference: empty, too long, not ASCII (RFC 9110
                section 10.2.2), or with a control character, space or backslash; ``not_allowed`` for https to http;
                otherwise as `check`.
        """
        text = location.decode("latin-1") if isinstance(location, bytes) else location
        if fault := _location_fault(text):
            raise RejectedError("redirects", f"redirect to nowhere: {fault}")
        target = self.check(_joined(current, text))
        if current.scheme == "https" and target.scheme != "https":
            raise _not_allowed("redirect from https to http")
        return target

    def _check_scheme_and_port(self, scheme: str, port: int) -> None:
        if scheme not in self.schemes:
            raise _not_allowed(
                f"scheme {scheme!r} is not admitted; admitted: {_listed(self.schemes)}; "
                "UrlPolicy.only(schemes=...) names others"
            )
        if not self._admits_port(port):
            raise _not_allowed(
                f"port {port} is not admitted; admitted: {_listed(self.ports)}; UrlPolicy.only(ports=...) names others"
            )

    def _admits_port(self, port: int) -> bool:
        return 1 <= port <= 65535 if self.ports is None else port in self.ports

    def _check_host(self, host: str) -> None:
        """Return if the host, in lower case, may be dialled or resolved."""
        try:
            address = _literal(host)
        except ValueError:
            raise _not_allowed(f"host {_shown(host)} is not an IP address in its plain form") from None
        if address is None and not _is_name(host):
            raise _not_allowed(f"host {_shown(host)} is not a host name (RFC 1123)")
        if not self._admits_host(host if address is None else str(address)):
            raise _not_allowed(
                f"host {_shown(host)} is not admitted; admitted: {_listed(self.hosts)}; UrlPolicy.only names others"
            )
        if address is not None:
            self.check_address(address)
        elif self.hosts is None and not self.private and _is_internal(host):
            raise RejectedError("private_address", f"host {_shown(host)} is an internal name, not a public one")

    def _admits_host(self, host: str) -> bool:
        return self.hosts is None or host in self.hosts or any(_is_under(host, pattern) for pattern in self.hosts)


@functools.lru_cache(maxsize=256)
def _admitted(policy: UrlPolicy, scheme: str, host: str, port: str | None) -> Origin:
    """Return the origin if the policy admits it; what it admits is remembered, what it refuses is judged anew."""
    found = Origin(scheme, host.strip("[]"), int(port or _DEFAULT_PORTS[scheme]))
    policy._check_scheme_and_port(scheme, found.port)  # noqa: SLF001  # the policy's own method, apart for the memory
    policy._check_host(host)  # noqa: SLF001  # the same
    return found


def plain_target(policy: UrlPolicy, url: str) -> Target | None:
    """Return what to dial and to ask for, if the URL is a plain one: as `target`, in a tenth of the time.

    A plain URL is its own normal form, so the grammar alone reads it. None leaves every other to `target`.

    Raises:
        RejectedError: as `UrlPolicy.check`.
    """
    match = _PLAIN_URL.fullmatch(url) if len(url) <= MAX_URL_LENGTH else None
    if match is None:
        return None
    scheme, host, port, path = match.groups()
    return Target(_admitted(policy, scheme, host, port), path)


def target(policy: UrlPolicy, url: str) -> Target:
    """Return what to dial and to ask for, if the policy admits it: what the client's parser makes of the URL.

    Loads that parser, so the event loop does not call this.

    Raises:
        RejectedError: as `UrlPolicy.check`.
    """
    return target_of(policy.check(url))


def target_of(url: "httpx.URL") -> Target:
    """Return what the client asks for when it is given `url`."""
    return Target(origin(url), url.raw_path.decode("ascii"))


def next_target(policy: UrlPolicy, current: Target, location: bytes) -> Target:
    """Return where a redirect leads, if the policy admits that; for a thread, like `target`.

    Raises:
        RejectedError: as `UrlPolicy.check_redirect`.
    """
    import httpx  # noqa: PLC0415  # see the theory of operation

    return target_of(policy.check_redirect(httpx.URL(current.url), location))


def origin(url: "httpx.URL") -> Origin:
    """Return whom the client asks when it is given `url`."""
    port = _DEFAULT_PORTS.get(url.scheme, 0) if url.port is None else url.port
    return Origin(url.scheme, url.raw_host.decode("ascii").lower(), port)


def _not_allowed(detail: str) -> RejectedError:
    return RejectedError("not_allowed", one_line(detail))


def _parsed(url: "str | httpx.URL", expected: Origin) -> "httpx.URL":
    """Return the client's reading of a URL, if it is the expected one."""
    import httpx  # noqa: PLC0415  # see the theory of operation

    with contextlib.suppress(httpx.InvalidURL, UnicodeError):
        parsed = url if isinstance(url, httpx.URL) else httpx.URL(url)
        # `host` decodes A-labels, and raises for a false one: better here than when it is dialled
        if origin(parsed) == expected and not parsed.userinfo and parsed.host:
            return parsed
    raise _not_allowed("malformed URL: the client reads it differently")


def _what_is_wrong(text: str, schemes: tuple[str, ...]) -> str:
    """Return in words why a URL is outside the grammar. The words decide nothing, and show no more than a scheme."""
    if len(text) > MAX_URL_LENGTH:
        return f"URL of {len(text):,} characters; the limit is {MAX_URL_LENGTH:,}"
    if _UNPRINTABLE.search(text):
        return "URL with a control character, space or backslash"
    scheme = _SCHEME.match(text)
    if scheme is None:
        return f"not an absolute URL; it must start with {' or '.join(f'{s}://' for s in schemes)}"
    if scheme[1].lower() not in _DEFAULT_PORTS:
        return f"scheme {scheme[1].lower()!r} is not admitted; admitted: {_listed(schemes)}"
    return _what_is_wrong_with_authority(re.split("[/?#]", text[scheme.end() :], maxsplit=1)[0])


def _what_is_wrong_with_authority(authority: str) -> str:
    if not authority:
        return "URL without a host"
    if "@" in authority:
        return "URL with a user name or password"
    if "%" in authority:
        return "percent sign in the host"
    if not authority.isascii():
        return "host with non-ASCII characters; write it with A-labels (xn--...)"
    return "malformed host or port, or '@' in a URL without a path"


def _location_fault(text: str) -> str | None:
    """Return in words why the value of a Location field is no usable reference; None if it is one."""
    if not text:
        return "empty Location"
    if len(text) > MAX_URL_LENGTH:
        return f"Location of {len(text):,} characters; the limit is {MAX_URL_LENGTH:,}"
    if not text.isascii():
        return "Location with non-ASCII characters"
    if _UNPRINTABLE.search(text):
        return "Location with a control character, space or backslash"
    return None


def _joined(current: "httpx.URL", location: str) -> "str | httpx.URL":
    """Return the absolute form of a reference; only a path, query or fragment is resolved, the rest stands as it is."""
    if location.startswith("//"):
        return f"{current.scheme}:{location}"
    if ":" in re.split("[/?#]", location, maxsplit=1)[0]:  # RFC 3986 section 4.2: a colon here can only end a scheme
        return location
    import httpx  # noqa: PLC0415  # see the theory of operation

    try:
        return current.join(location)
    except httpx.InvalidURL:
        raise RejectedError("redirects", "redirect to nowhere: malformed Location") from None


def _address(ip: str | IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(ip)
    except ValueError:
        raise RejectedError("private_address", one_line(f"{ip!r} is not an IP address")) from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise RejectedError("private_address", one_line(f"address {str(address)!r} has a zone id"))
    return address


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a lower-case host is, or None if it is a name.

    Raises:
        ValueError: if it is neither: a number in any form but the dotted quad, or brackets around something else.
    """
    if host.startswith("["):
        if not host.endswith("]") or "%" in host:
            raise ValueError("not an IPv6 address")
        return IPv6Address(host[1:-1])
    return IPv4Address(host) if _ENDS_IN_NUMBER.fullmatch(host) else None


def _is_name(host: str) -> bool:
    return len(host) <= _MAX_NAME and _NAME.fullmatch(host) is not None


def _is_internal(name: str) -> bool:
    return "." not in name or f".{name}".endswith(_INTERNAL_NAMES)


def _is_under(host: str, pattern: str) -> bool:
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def _shown(host: str) -> str:
    return one_line(repr(host), limit=80)


def _listed(values: Iterable[object] | None) -> str:
    return "any" if values is None else ", ".join(map(str, values))


def _items(field: str, values: Any) -> tuple[Any, ...]:
    """Return a field's values as a tuple; a lone string is a mistake that would be taken for its letters."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError(f"{field} must be a tuple, not {values!r}")  # noqa: TRY004  # the contract says ValueError
    items = tuple(values)
    if not items:
        raise ValueError(f"{field} must not be empty")
    return items


def _host_pattern(value: Any) -> str:
    """Return a host pattern as hosts are compared: lower case, A-labels, the shortest form of an address."""
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        if ":" in value:
            return str(_literal(value if value.startswith("[") else f"[{value}]"))
        wildcard = "*." if value.startswith("*.") else ""
        name = value.removeprefix("*.")
        name = name.lower() if name.isascii() else _a_labels(name)
        usable = _is_name(name) if _literal(name) is None else not wildcard
        if usable:
            return wildcard + name
    if isinstance(value, list | tuple | set | frozenset):
        hint = f"hosts are given one by one, only(*hosts), not as a {type(value).__name__}: {value!r}"
        raise ValueError(hint)  # noqa: TRY004  # as for the others
    raise ValueError(
        f"hosts must be host names, IP addresses or '*.' and a name, without scheme or port, not {value!r}"
    )


def _a_labels(name: str) -> str:
    """Return a name that is not ASCII in the form in which it is resolved (RFC 5890); ValueError if it has none."""
    import httpx  # noqa: PLC0415  # see the theory of operation

    try:
        return httpx.URL(host=name).raw_host.decode("ascii")
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None


def _known_scheme(value: Any) -> str:
    if value not in ("http", "https"):
        raise ValueError(f"schemes must be 'http' or 'https', not {value!r}")
    return str(value)


def _port_number(value: Any) -> int:
    if not _is_count(value) or not 1 <= value <= 65535:
        raise ValueError(f"ports must be whole numbers from 1 to 65535, not {value!r}")
    return int(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
