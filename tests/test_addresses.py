"""Which addresses are public: the registries of IANA, block by block, with the addresses beside each block.

https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry.
The rows are written here a second time, so that a row that is lost there is missed here.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from staging import RejectedError, UrlPolicy

PUBLIC = UrlPolicy.public()
BLOCKS = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/31", "192.0.2.0/24",
    "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "239.0.0.0/8", "240.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
    "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32",
    "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16",
    "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    "168.63.129.16/32", "169.254.169.254/32", "100.100.100.200/32", "fd00:ec2::254/128", "::127.0.0.1/128",
    "::ffff:8.8.8.8/128", "::ffff:0:8.8.8.8/128", "64:ff9b::8.8.8.8/128", "2002:0808:0808::1/128", "::8.8.8.8/128",
    "2600::5efe:a00:1/128", "2600::200:5efe:808:808/128", "1000::/4", "4000::/2", "8000::/1",
]  # fmt: skip
ADMITTED = [
    "1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.31.195.255", "192.31.197.0", "192.88.98.255", "192.88.100.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0",
    "203.0.112.255", "203.0.114.0", "223.255.255.255", "168.63.129.15", "168.63.129.17", "2001:200::",
    "2001:4860:4860::8888", "2001:db7:ffff::", "2001:db9::", "2003::", "2606:4700:4700::1111", "2620:4f:7fff::",
    "2620:4f:8001::", "2a00::", "3ffd::", "3fff:1000::", "3fff:ffff::",
]  # fmt: skip


def refused(ip):
    try:
        PUBLIC.check_address(ip)
    except RejectedError as error:
        assert error.reason == "private_address"
        assert str(ip_address(ip)) in error.detail
        return True
    return False


@pytest.mark.parametrize("block", BLOCKS)
def test_no_address_of_a_special_block_is_public(block):
    network = ip_network(block)
    middle = type(network.network_address)(int(network.network_address) + network.num_addresses // 2)
    for ip in {network.network_address, middle, network.broadcast_address}:
        assert refused(ip), ip
        assert refused(str(ip)), ip


@pytest.mark.parametrize("ip", ADMITTED)
def test_what_lies_beside_a_block_is_public(ip):
    assert not refused(ip)


def test_an_address_that_carries_a_public_one_is_not_public():
    """A translator decides where it leads (RFC 6052, RFC 3056, RFC 4380, RFC 5214)."""
    carried = int(IPv4Address("8.8.8.8"))
    for base, shift in (
        ("::ffff:0:0", 0),
        ("64:ff9b::", 0),
        ("2002::", 80),
        ("2001:0:808:808::", 0),
        ("64:ff9b:1::", 0),
    ):
        assert refused(IPv6Address(int(IPv6Address(base)) | carried << shift)), base


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "01.2.3.4", "1.2.3.4.5", "0x7f.0.0.1", "fe80::1%eth0", "::1%1", "host", "1::2::3"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(RejectedError):
        PUBLIC.check_address(text)
