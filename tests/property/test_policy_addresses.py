"""The law of addresses: every special address is refused, bare or carried by another, and nothing else is."""

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import example, given
from hypothesis import strategies as st

from staging._errors import RejectedError
from staging._net import addresses
from staging._net.policy import UrlPolicy

PUBLIC = UrlPolicy.public()
PRIVATE = UrlPolicy(None, ("https",), None, private=True)
NEVER = [ip_network(cidr) for cidr, *_ in (*addresses._NOWHERE, *addresses._METADATA)]
SPECIAL = [*NEVER, *(ip_network(cidr) for cidr, *_ in addresses._SPECIAL)]
V4 = st.integers(0, 2**32 - 1)
V6 = st.integers(0, 2**128 - 1)
ANY_BITS = st.integers(0, 2**64 - 1)


def refused(policy, ip):
    try:
        policy.check_address(ip)
    except RejectedError as error:
        assert error.reason == "private_address"
        assert error.detail.isprintable()
        return True
    return False


def inside(networks, version):
    """Return a strategy for addresses in the networks, first and last addresses included."""

    def addresses(network):
        first, last = int(network.network_address), int(network.broadcast_address)
        return st.sampled_from([first, last]) | st.integers(first, last)

    return st.sampled_from([network for network in networks if network.version == version]).flatmap(addresses)


def around(networks, version):
    """Return a strategy for addresses one beside the networks' ends: where off-by-one errors live."""
    ends = [
        end
        for network in networks
        if network.version == version
        for end in (int(network.network_address) - 1, int(network.broadcast_address) + 1)
    ]
    return st.sampled_from([end for end in ends if 0 <= end < 2 ** (32 if version == 4 else 128)])


def rfc6052(prefix, length, number):
    """Return the IPv6 address that carries an IPv4 one behind a NAT64 prefix, octet by octet as in the RFC's table."""
    octets = bytearray(prefix.to_bytes(16, "big"))
    position = length // 8
    for octet in number.to_bytes(4, "big"):
        position += position == 8
        octets[position] = octet
        position += 1
    return int.from_bytes(octets, "big")


LOCAL_NAT64 = 0x0064_FF9B_0001 << 80
CARRIERS = {
    "mapped": lambda v4, bits: 0xFFFF << 32 | v4,
    "translated": lambda v4, bits: 0xFFFF << 48 | v4,
    "compatible": lambda v4, bits: v4,
    "NAT64": lambda v4, bits: rfc6052(0x0064_FF9B << 96, 96, v4),
    "local NAT64/48": lambda v4, bits: rfc6052(LOCAL_NAT64, 48, v4),
    "local NAT64/56": lambda v4, bits: rfc6052(LOCAL_NAT64 | (bits & 0xFF) << 72, 56, v4),
    "local NAT64/64": lambda v4, bits: rfc6052(LOCAL_NAT64 | (bits & 0xFFFF) << 64, 64, v4),
    "local NAT64/96": lambda v4, bits: rfc6052(LOCAL_NAT64 | (bits & 0xFFFF) << 64, 96, v4),
    "6to4": lambda v4, bits: 0x2002 << 112 | v4 << 80 | bits,
    "Teredo client": lambda v4, bits: 0x2001_0000 << 96 | bits << 32 | v4 ^ 0xFFFF_FFFF,
    "Teredo server": lambda v4, bits: 0x2001_0000 << 96 | v4 << 64 | bits,
    "ISATAP": lambda v4, bits: 0x2606_4700 << 96 | bits >> 32 << 64 | 0x0000_5EFE << 32 | v4,
    "ISATAP, universal": lambda v4, bits: 0x2606_4700 << 96 | bits >> 32 << 64 | 0x0200_5EFE << 32 | v4,
    "ISATAP, group": lambda v4, bits: 0x2606_4700 << 96 | bits >> 32 << 64 | 0x0300_5EFE << 32 | v4,
}
FORMS = st.sampled_from(sorted(CARRIERS))


@given(inside(SPECIAL, 4))
def test_every_special_ipv4_address_is_refused(number):
    assert refused(PUBLIC, IPv4Address(number))


@given(inside(SPECIAL, 6))
def test_every_special_ipv6_address_is_refused(number):
    assert refused(PUBLIC, IPv6Address(number))


@given(FORMS, V4 | inside(SPECIAL, 4), ANY_BITS)
def test_no_address_that_carries_an_ipv4_address_is_public_whatever_it_carries(form, number, bits):
    assert refused(PUBLIC, IPv6Address(CARRIERS[form](number, bits)))


@given(FORMS, inside(NEVER, 4).filter(bool), ANY_BITS)
def test_what_private_never_admits_it_does_not_admit_in_any_carrier(form, number, bits):
    assert refused(PRIVATE, IPv4Address(number))
    assert refused(PRIVATE, IPv6Address(CARRIERS[form](number, bits)))


@given(inside(NEVER, 6))
def test_what_private_never_admits_of_ipv6(number):
    assert refused(PRIVATE, IPv6Address(number))


@given(V4 | around(SPECIAL, 4))
def test_an_ipv4_address_is_public_if_and_only_if_no_block_holds_it(number):
    address = IPv4Address(number)
    special = any(address in network for network in SPECIAL if network.version == 4)
    assert refused(PUBLIC, address) == special


@given(V6 | around(SPECIAL, 6) | st.integers(0x2000 << 112, (0x4000 << 112) - 1))
@example(0x2000 << 112)
@example((0x4000 << 112) - 1)
@example(0x4000 << 112)
@example((0x2000 << 112) - 1)
def test_an_ipv6_address_is_public_if_and_only_if_it_is_plain_global_unicast(number):
    address = IPv6Address(number)
    special = any(address in network for network in SPECIAL if network.version == 6)
    isatap = number >> 32 & 0xFCFF_FFFF == 0x0000_5EFE
    assert refused(PUBLIC, address) == (special or isatap or number >> 125 != 1)


@given(V4 | V6)
def test_private_admits_whatever_public_admits(number):
    address = IPv4Address(number) if number < 2**32 else IPv6Address(number)
    assert refused(PUBLIC, address) or not refused(PRIVATE, address)


@given(V4 | inside(SPECIAL, 4), V6 | inside(SPECIAL, 6))
def test_text_and_value_are_judged_alike(v4, v6):
    for address in (IPv4Address(v4), IPv6Address(v6)):
        for policy in (PUBLIC, PRIVATE):
            assert refused(policy, str(address)) == refused(policy, address)
            if address.version == 6:
                assert refused(policy, address.exploded.upper()) == refused(policy, address)


@given(inside(SPECIAL, 4) | V4, inside(SPECIAL, 6) | V6)
def test_a_url_with_an_address_is_judged_as_the_address(v4, v6):
    for host, address in ((str(IPv4Address(v4)), IPv4Address(v4)), (f"[{IPv6Address(v6)}]", IPv6Address(v6))):
        try:
            PUBLIC.check(f"https://{host}/")
        except RejectedError as error:
            assert error.reason == "private_address"
            assert refused(PUBLIC, address)
        else:
            assert not refused(PUBLIC, address)
