"""Which addresses are public, by a table of blocks.

Theory of operation. An address is public if no row of the tables holds it and, for IPv6, if it lies in the global
unicast space. `ipaddress.is_global` is not asked: its answer is wrong on 62 to 76 special blocks, depending on the
version of Python. An IPv6 address that carries an IPv4 address is refused whatever it carries, since a translator
decides where it leads. That includes NAT64. On a network that reaches IPv4 only through DNS64, a host without an IPv6
address of its own therefore counts as not public.
"""

import functools
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from staging._errors import RejectedError
from staging._text import one_line


class _Block(NamedTuple):
    """A row of a table, with its first and last address as numbers."""

    first: int
    last: int
    name: str
    source: str


_Rows = tuple[tuple[str, str, str], ...]  # block, what lives there, and who says so


@functools.cache
def _table(rows: _Rows) -> dict[int, tuple[_Block, ...]]:
    """Return the rows of a table by IP version, in order.

    If two rows hold an address, the earlier one names it. The rows are parsed at the first call, since parsing takes a
    tenth of the time of ``import staging``.
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
# Refused by every policy that does not name the address, since they give out the credentials of the machine.
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
# unicast host. Blocks that a registry calls globally reachable (AS112, AMT) are listed: no attachment is served there.
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
    """Return the server and the client (RFC 4380 section 4).

    The client is stored inverted.
    """
    return number >> 64 & 0xFFFF_FFFF, ~number & 0xFFFF_FFFF


def _nat64_local(number: int) -> tuple[int, ...]:
    """Return the IPv4 addresses for each length of prefix (RFC 6052 section 2.2).

    The lengths are 96, 48, 56 and 64 bits. An address of zero is left out. Only the network knows which of them it
    uses. Octet 8 is never a part of the IPv4 address, so it is taken out first.
    """
    squeezed = number >> 64 << 56 | number & (1 << 56) - 1
    readings = (number & 0xFFFF_FFFF, *(squeezed >> shift & 0xFFFF_FFFF for shift in (40, 32, 24)))
    return tuple(reading for reading in readings if reading)


class _Embedding(NamedTuple):
    """A form of IPv6 address that carries IPv4 addresses."""

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
    """Return the first row that holds the address, in words."""
    number = int(address)
    for block in _table(rows)[address.version]:
        if block.first <= number <= block.last:
            return f"{block.name} ({block.source})"
    return None


def _embedded(address: IPv4Address | IPv6Address) -> Iterator[tuple[_Embedding, IPv4Address]]:
    """Yield each IPv4 address in an IPv6 address, and its form."""
    if address.version == 6:
        number = int(address)
        for form in _embeddings():
            if number & form.mask == form.value:
                for reading in form.read(number):
                    yield form, IPv4Address(reading)


def why_not_public(address: IPv4Address | IPv6Address) -> str | None:
    """Return why an address is not a public host, or None."""
    if block := _block_of(_SPECIAL, address):
        return block
    if address.version == 4:
        return None
    for form, carried in _embedded(address):
        return f"it carries {carried} ({form.name}, {form.source})"
    return None if int(address) >> 125 == 0b001 else "outside 2000::/3, the global unicast space (RFC 4291)"


def why_never(address: IPv4Address | IPv6Address, named: tuple[str, ...]) -> str | None:
    """Return why even a private policy refuses an address, or None.

    `named` are the hosts of that policy.
    """
    for one in (address, *(carried for _, carried in _embedded(address))):
        block = _block_of(_NOWHERE, one) or (None if str(one) in named else _block_of(_METADATA, one))
        if block:
            return block
    return None


def parse_address(ip: str | IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(ip)
    except ValueError:
        raise RejectedError("private_address", one_line(f"{ip!r} is not an IP address")) from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise RejectedError("private_address", one_line(f"address {str(address)!r} has a zone id"))
    return address
