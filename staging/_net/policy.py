"""What may be contacted, judged by URL, by redirect and by address.

Theory of operation. A policy is a value and contacts nothing. `UrlPolicy.check` judges the text of a URL. A name proves
nothing about the address behind it, so the dialler asks a second question, `UrlPolicy.check_address`, for every answer
of the resolver. What passes comes back as the origin and path that the client dials, and nothing else is dialled.
"""

import contextlib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Self

from staging._errors import RejectedError
from staging._late import importing
from staging._net.addresses import parse_address, why_never, why_not_public
from staging._net.urls import (
    DEFAULT_PORTS,
    DISCORD_HOSTS,
    MAX_URL_LENGTH,
    PLAIN_URL,
    URL,
    Origin,
    Target,
    is_internal,
    is_name,
    joined,
    listed,
    literal,
    not_allowed,
    parsed,
    reference,
    target_of,
    what_is_wrong,
)
from staging._readable import Readable
from staging._text import one_line

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class UrlPolicy(metaclass=Readable):
    """What may be contacted, by URL, by redirect and by address.

    Make one with `discord`, `only` or `public`; `dataclasses.replace` changes a field.

    Args:
        hosts: names, IP addresses, and ``*.`` followed by a name, which stands for one or more whole labels before it
            and never for the name itself; None for any host. Kept in lower case, names as A-labels, addresses in
            their shortest form.
        schemes: ``https``, ``http`` or both.
        ports: 1 to 65535; None for any.
        private: whether addresses that are not public may be dialled, and with ``hosts=None`` internal names too.
            Unspecified, multicast and broadcast addresses stay refused. Cloud metadata stays refused too, unless
            `hosts` names the address itself; then every admitted host may resolve to it.
        max_redirects: how many are followed.

    Raises:
        ValueError: if a field has no valid value; the message names the field.
    """

    hosts: tuple[str, ...] | None
    schemes: tuple[str, ...]
    ports: tuple[int, ...] | None
    private: bool
    max_redirects: int = 3

    def __post_init__(self) -> None:
        if self.hosts is not None:
            object.__setattr__(self, "hosts", tuple(map(_host_pattern, _items("hosts", self.hosts))))
        schemes = _items("schemes", self.schemes)
        for scheme in schemes:
            if scheme not in ("http", "https"):
                raise ValueError(f"schemes must be 'http' or 'https', not {scheme!r}")
        object.__setattr__(self, "schemes", tuple(map(str, schemes)))
        ports = None if self.ports is None else _items("ports", self.ports)
        for port in ports or ():
            if not _is_count(port) or not 1 <= port <= 65535:
                raise ValueError(f"ports must be whole numbers from 1 to 65535, not {port!r}")
        object.__setattr__(self, "ports", ports and tuple(map(int, ports)))
        if not isinstance(self.private, bool):
            raise ValueError(f"private must be True or False, not {self.private!r}")  # noqa: TRY004  # as for Limits
        if not _is_count(self.max_redirects):
            raise ValueError(f"max_redirects must be a whole number of 0 or more, not {self.max_redirects!r}")

    @classmethod
    def discord(cls) -> Self:
        """Return the policy for Discord's attachments.

        It admits https on port 443 of Discord's two hosts.
        """
        return cls.only(*DISCORD_HOSTS)

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
        """Return a policy that admits any host with public addresses.

        It admits https on port 443. A host is refused if one of its addresses is not public.
        """
        return cls(None, ("https",), (443,), private=False)

    def check(self, url: "str | httpx.URL") -> "httpx.URL":
        """Return the URL as the client dials it, if this policy admits it.

        In the result, scheme, host and port are exactly those of the text. Refused are: userinfo (RFC 9110 section
        4.2.4), percent signs, zone ids and non-ASCII characters in the authority, names with empty labels, a trailing
        dot or a numeric last label that is not a dotted quad (WHATWG URL, "ends in a number"), control characters,
        spaces and backslashes anywhere, and more than 8,000 characters (RFC 9110 section 4.1). An IP address as the
        host is judged at once; the addresses of a name are judged by `check_address`.

        Args:
            url: an absolute URL.

        Raises:
            RejectedError: ``private_address`` if the host is an address or an internal name that is not public;
                ``not_allowed`` in every other case. The detail never shows userinfo, path or query.
        """
        text = str(url)
        match = URL.fullmatch(text) if len(text) <= MAX_URL_LENGTH else None
        if match is None:
            raise not_allowed(*what_is_wrong(text, self.schemes))
        return parsed(url, _admitted(self, match["scheme"].lower(), match["host"].lower(), match["port"]))

    def check_address(self, ip: str | IPv4Address | IPv6Address) -> None:
        """Return None if this policy admits the address, and raise otherwise.

        It admits public unicast addresses and, with `private`, nearly all others.

        Args:
            ip: one answer of a resolver, or the host of a URL. A zone id is refused: it names an interface of this
                machine.

        Raises:
            RejectedError: ``private_address`` if the address is not admitted, or is none.
        """
        address = parse_address(ip)
        why = why_never(address, self.hosts or ()) if self.private else why_not_public(address)
        if why:
            own = not self.private and why_never(address, self.hosts or ()) is None
            hint = "UrlPolicy.only(private=True) admits your own network's" if own else ""
            detail = f"address {address} is not admitted: {why}"
            raise RejectedError("private_address", detail, hint=hint, host=str(address))

    def check_redirect(self, current: "httpx.URL", location: bytes | str) -> "httpx.URL":
        """Return where a redirect leads, if this policy admits that.

        It is read as WHATWG URL does: spaces and non-ASCII characters in path and query are percent-encoded, tabs do
        not count, a backslash is a slash, and ``https:///x`` names the host ``x``. What that gives is resolved against
        `current` (RFC 3986 section 5.2), judged by `check`, and asked for as it was judged.

        Args:
            current: the URL that answered with the redirect; `check` has admitted it.
            location: the value of the Location field, as received.

        Raises:
            RejectedError: ``redirects`` if the value is no usable reference: empty, too long, with a control character,
                or with a space or non-ASCII character in the host; ``not_allowed`` for https to http; otherwise as
                `check`.
        """
        target = self.check(joined(current, reference(location, current.scheme)))
        if current.scheme == "https" and target.scheme != "https":
            raise not_allowed("redirect from https to http")
        return target


@functools.lru_cache(maxsize=256)
def _admitted(policy: UrlPolicy, scheme: str, host: str, port: str | None) -> Origin:
    """Return the origin if the policy admits it, and remember that."""
    number = int(port or DEFAULT_PORTS[scheme])
    if scheme not in policy.schemes:
        hint = f"admitted: {listed(policy.schemes)}; UrlPolicy.only(schemes=...) names others"
        raise not_allowed(f"scheme {scheme!r} is not admitted", hint)
    if number not in (range(1, 65536) if policy.ports is None else policy.ports):
        hint = f"admitted: {listed(policy.ports)}; UrlPolicy.only(ports=...) names others"
        raise not_allowed(f"port {number} is not admitted", hint)
    _check_host(policy, host)
    return Origin(scheme, host.strip("[]"), number)


def _check_host(policy: UrlPolicy, host: str) -> None:
    """Raise unless the host, in lower case, may be dialled."""
    try:
        address = literal(host)
    except ValueError:
        raise not_allowed(f"host {_shown(host)} is not an IP address in its plain form") from None
    if address is None and not is_name(host):
        raise not_allowed(f"host {_shown(host)} is not a host name (RFC 1123)")
    name, hosts = host if address is None else str(address), policy.hosts
    above = tuple(one[1:] for one in hosts or () if one.startswith("*."))
    if hosts is not None and name not in hosts and not name.endswith(above):
        hint = f"admitted: {listed(hosts)}; UrlPolicy.only names others"
        raise not_allowed(f"host {_shown(host)} is not admitted", hint, host=host)
    if address is not None:
        policy.check_address(address)
    elif hosts is None and not policy.private and is_internal(host):
        detail = f"host {_shown(host)} is an internal name, not a public one"
        raise RejectedError("private_address", detail, host=host)


def plain_target(policy: UrlPolicy, url: str) -> Target | None:
    """Return the target of a plain URL, or None for others.

    It takes a tenth of the time of `target`. A plain URL is its own normal form, so the grammar alone reads it. Every
    other URL is left to `target`.

    Raises:
        RejectedError: as `UrlPolicy.check`.
    """
    match = PLAIN_URL.fullmatch(url) if len(url) <= MAX_URL_LENGTH else None
    if match is None:
        return None
    scheme, host, port, path = match.groups()
    return Target(_admitted(policy, scheme, host, port), path)


def target(policy: UrlPolicy, url: str) -> Target:
    """Return the target of a URL that the policy admits.

    The client's parser must read it as the grammar does. This loads that parser, so the event loop does not call it.

    Raises:
        RejectedError: as `UrlPolicy.check`.
    """
    return target_of(policy.check(url))


def next_target(policy: UrlPolicy, current: Target, location: bytes) -> Target:
    """Return where a redirect leads, if the policy admits that.

    It runs in a thread, like `target`.

    Raises:
        RejectedError: as `UrlPolicy.check_redirect`.
    """
    with importing():
        import httpx  # noqa: PLC0415  # see the theory of operation
    return target_of(policy.check_redirect(httpx.URL(current.url), location))


def _shown(host: str) -> str:
    return one_line(repr(host), limit=80)


def _items(field: str, values: Any) -> tuple[Any, ...]:
    """Return a field's values as a tuple, but refuse a string.

    The tuple would hold the letters of the string.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError(f"{field} must be a tuple, not {values!r}")  # noqa: TRY004  # the contract says ValueError
    items = tuple(values)
    if not items:
        raise ValueError(f"{field} must not be empty")
    return items


def _host_pattern(value: Any) -> str:
    """Return a host pattern in the form in which hosts are compared."""
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        if ":" in value:
            return str(literal(value if value.startswith("[") else f"[{value}]"))
        wildcard = "*." if value.startswith("*.") else ""
        name: str = value.removeprefix("*.")
        if not name.isascii():
            import httpx  # noqa: PLC0415  # see the theory of operation

            with contextlib.suppress(httpx.InvalidURL):  # what is left as it is, is no name
                name = httpx.URL(host=name).raw_host.decode("ascii")  # its A-labels (RFC 5890)
        name = name.lower()
        usable = is_name(name) if literal(name) is None else not wildcard
        if usable:
            return wildcard + name
    if isinstance(value, list | tuple | set | frozenset):
        hint = f"hosts are given one by one, only(*hosts), not as a {type(value).__name__}: {value!r}"
        raise ValueError(hint)  # noqa: TRY004  # as for the others
    raise ValueError(
        f"hosts must be host names, IP addresses or '*.' and a name, without scheme or port, not {value!r}"
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
