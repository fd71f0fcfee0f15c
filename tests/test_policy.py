"""What may be contacted, by example. The laws are in property/test_policy_*.py."""

import dataclasses
import pickle
from ipaddress import IPv4Address, IPv6Address

import httpx
import pytest

from staging._errors import RejectedError
from staging._net.policy import UrlPolicy
from staging._net.urls import MAX_URL_LENGTH, origin

DISCORD = UrlPolicy.discord()
PUBLIC = UrlPolicy.public()
ANYWHERE = UrlPolicy(None, ("https", "http"), None, private=True)


def refusal(function, *args):
    """Return the error if the call is refused, None if it is not."""
    try:
        function(*args)
    except RejectedError as error:
        return error
    return None


# ---- construction


def test_the_ready_made_policies_are_what_the_contract_says():
    assert UrlPolicy(("cdn.discordapp.com", "media.discordapp.net"), ("https",), (443,), private=False) == DISCORD
    assert UrlPolicy(None, ("https",), (443,), private=False) == PUBLIC
    assert DISCORD.max_redirects == PUBLIC.max_redirects == 3
    named = UrlPolicy.only("a.example", schemes=("http", "https"), ports=None, private=True)
    assert (named.hosts, named.schemes, named.ports, named.private) == (("a.example",), ("http", "https"), None, True)


def test_a_policy_is_a_value():
    assert pickle.loads(pickle.dumps(DISCORD)) == DISCORD
    assert len({DISCORD, UrlPolicy.discord(), PUBLIC}) == 2
    assert dataclasses.replace(DISCORD, max_redirects=0).max_redirects == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        DISCORD.private = True


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("CDN.Example.COM", "cdn.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("*.Example.org", "*.example.org"),
        ("a_b.example", "a_b.example"),
        ("localhost", "localhost"),
        ("10.0.0.5", "10.0.0.5"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_hosts_are_kept_in_the_form_they_are_compared_in(given, kept):
    assert UrlPolicy.only(given).hosts == (kept,)


@pytest.mark.parametrize(
    "host",
    [
        "", "*", "*.", "*.*", "**.example", "a.*.example", "a*.example", "*example.org", "https://example.com",
        "example.com/", "example.com:443", "u@example.com", ".example.com", "example.com.", "a..b", "a b", "a%2eb",
        "a\\b", "-a.example", "a" * 64 + ".example", "a." * 127 + "example", "127.1", "0x7f000001", "1.2.3.256",
        "01.2.3.4", "*.10.0.0.1", "*.[::1]", "[::1", "::1]", "[1.2.3.4]", "fe80::1%eth0", "evil.com/ü", "ü@evil.com",
        "a\n.example", None, 7, b"a.example",
    ],
)  # fmt: skip
def test_a_host_pattern_that_is_none_is_a_mistake_at_construction(host):
    with pytest.raises(ValueError, match="hosts"):
        UrlPolicy.only("good.example", host)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hosts", ()), ("hosts", "example.com"), ("hosts", 7),
        ("schemes", ()), ("schemes", "https"), ("schemes", ("ftp",)), ("schemes", ("HTTPS",)), ("schemes", ([],)),
        ("schemes", None),
        ("ports", ()), ("ports", 443), ("ports", (0,)), ("ports", (65536,)), ("ports", (-1,)), ("ports", (True,)),
        ("ports", ("443",)), ("ports", (443.0,)),
        ("private", 1), ("private", None),
        ("max_redirects", -1), ("max_redirects", 1.5), ("max_redirects", True), ("max_redirects", None),
    ],
)  # fmt: skip
def test_nonsense_is_a_mistake_at_construction_and_names_the_field(field, value):
    with pytest.raises(ValueError, match=f"^{field} "):
        dataclasses.replace(DISCORD, **{field: value})


# ---- URLs


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("https://cdn.discordapp.com/attachments/1/2/a.png?ex=65f&is=65e&hm=abc&", ("cdn.discordapp.com", 443)),
        ("HTTPS://CDN.Discordapp.com:443/a", ("cdn.discordapp.com", 443)),
        ("https://cdn.discordapp.com:/a", ("cdn.discordapp.com", 443)),
        ("https://cdn.discordapp.com", ("cdn.discordapp.com", 443)),
        ("https://media.discordapp.net?x=1", ("media.discordapp.net", 443)),
        ("https://media.discordapp.net/日本語 .pdf".replace(" ", ""), ("media.discordapp.net", 443)),
    ],
)
def test_a_good_url_comes_back_as_it_will_be_dialled(url, dialled):
    assert origin(DISCORD.check(url)) == ("https", *dialled)
    assert DISCORD.check(httpx.URL(url)) == DISCORD.check(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://evil.example/", "'evil.example' is not admitted"),
        ("https://discordapp.com/", "not admitted"),
        ("https://cdn.discordapp.com.evil.example/", "not admitted"),
        ("http://cdn.discordapp.com/", "scheme 'http' is not admitted"),
        ("ftp://cdn.discordapp.com/", "scheme 'ftp' is not admitted"),
        ("https://cdn.discordapp.com:8443/", "port 8443 is not admitted"),
        ("https://cdn.discordapp.com:65536/", "port 65536"),
        ("https://cdn.discordapp.com:-443/", "malformed host or port"),
        ("https://cdn.discordapp.com:4_43/", "malformed host or port"),
        ("https://cdn.discordapp.com:٤٤٣/", "non-ASCII"),
        ("https://evil.example\\@cdn.discordapp.com/", "backslash"),
        ("https://cdn.discordapp.com/a\\b", "backslash"),
        ("https://cdn.discordapp.com/a b", "space"),
        ("https://cdn.discordapp.com/a\n", "control character"),
        ("https://cdn.discordapp.com/a\x85", "control character"),
        ("https://cdn%2ediscordapp.com/", "percent sign"),
        ("https://cdn.di\u017fcordapp.com/", "non-ASCII"),
        ("http\u017f://cdn.discordapp.com/", "not an absolute URL"),
        ("https://user:pw@cdn.discordapp.com/", "user name or password"),
        ("https://@cdn.discordapp.com/", "user name or password"),
        ("https://cdn.discordapp.com#@evil.example/", "'@' in a URL without a path"),
        ("https://cdn.discordapp.com./", "is not a host name"),
        ("https://cdn..discordapp.com/", "is not a host name"),
        ("https:///cdn.discordapp.com/", "without a host"),
        ("https:cdn.discordapp.com/", "not an absolute URL"),
        ("//cdn.discordapp.com/", "not an absolute URL"),
        ("", "not an absolute URL"),
        ("https://2130706433/", "not an IP address in its plain form"),
        ("https://[::1.2.3]/", "not an IP address in its plain form"),
        ("https://[fe80::1%25eth0]/", "percent sign"),
        ("https://162.159.133.233/", "not admitted"),
        ("https://[2606:4700::6810:1]/", "not admitted"),
        ("https://127.0.0.1/", "not admitted"),
        ("https://cdn.discordapp.com/\ud800", "reads it differently"),
    ],
)
def test_a_refused_url_says_why(url, words):
    error = refusal(DISCORD.check, url)
    assert error is not None
    assert error.reason == "not_allowed"
    assert words in error.detail


@pytest.mark.parametrize(
    "url",
    [
        "https://secret:secret@cdn.discordapp.com/secret?secret#secret",
        "https://secret@evil.example/secret?secret",
        "secret:secret@evil.example/secret",
        "https:secret@evil.example/secret",
        "https://evil.example/secret?secret#secret",
        "https://secret:sec ret@evil.example/",
        "https://evil.example:secret/secret",
        "https://evil.example?secret@",
        "https://127.0.0.1/secret?secret",
        "https://localhost/secret?secret",
        "https://secret%00@evil.example/",
        "https://sécret@evil.example:secret/",
    ],
)
def test_no_refusal_shows_userinfo_path_or_query(url):
    for policy in (DISCORD, PUBLIC):
        error = refusal(policy.check, url)
        assert policy is PUBLIC or error
        for word in ("secret", "sécret", "sec ret"):
            assert word not in f"{error!r} {error} {getattr(error, '__cause__', None)}"


def test_a_false_a_label_is_refused_before_a_later_look_at_the_host_raises():
    """`httpx.URL.host` decodes A-labels on access and raises a UnicodeError for a false one."""
    with pytest.raises(UnicodeError):
        httpx.URL("https://xn--0.example/").host  # noqa: B018  # the access is what raises
    assert refusal(PUBLIC.check, "https://xn--0.example/")
    assert not refusal(PUBLIC.check, "https://xn--bcher-kva.example/")


class LyingURL(httpx.URL):
    """A URL whose text names another host than the one it dials."""

    def __str__(self):
        return "https://cdn.discordapp.com/a"


@pytest.mark.parametrize(
    "lie", ["https://evil.example/a", "http://cdn.discordapp.com:443/a", "https://cdn.discordapp.com:81"]
)
def test_what_the_text_says_and_what_is_dialled_must_agree(lie):
    assert "reads it differently" in refusal(DISCORD.check, LyingURL(lie)).detail


def test_userinfo_inside_a_parsed_url_is_refused_whatever_its_text_says():
    assert refusal(DISCORD.check, LyingURL("https://u:p@cdn.discordapp.com/a"))


def test_the_length_limit_is_inclusive():
    url = "https://cdn.discordapp.com/".ljust(MAX_URL_LENGTH, "a")
    assert not refusal(DISCORD.check, url)
    assert "8,001 characters" in refusal(DISCORD.check, url + "a").detail


def test_names_end_at_253_characters_and_labels_at_63():
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(name) == 253
    assert not refusal(PUBLIC.check, f"https://{name}/")
    assert refusal(PUBLIC.check, f"https://{name}b/")
    assert refusal(PUBLIC.check, f"https://{'a' * 64}.example/")


@pytest.mark.parametrize(
    "name",
    [
        "localhost", "LOCALHOST", "x.localhost", "printer", "router.lan", "nas.local", "x.home.arpa", "home.arpa",
        "metadata.google.internal", "metadata.goog", "metadata.tencentyun.com", "wiki.corp", "ip6-localhost",
        "kubernetes.default.svc", "svc", "api.prod.svc.cluster.local", "10-0-0-1.default.pod", "vault.service.consul",
        "db.node.consul", "node1.cluster", "x.nomad", "web.marathon.mesos", "x.rancher", "db.docker", "x.endpoints",
        "fritz.box", "nas.fritz.box", "speedport.ip", "x.localnet", "host.docker.internal", "pi.loc", "x.intra",
    ],
)  # fmt: skip
def test_internal_names_are_refused_unless_named_or_private(name):
    url = f"https://{name}/"
    assert refusal(PUBLIC.check, url).reason == "private_address"
    assert not refusal(UrlPolicy.only(name).check, url)
    assert not refusal(ANYWHERE.check, url)


def test_a_public_name_that_only_sounds_internal_is_admitted():
    for name in (
        "local.example",
        "mylocal.example",
        "xhome.arpa.example",
        "notlocal.com",
        "lan.party",
        "a.notlocal",
        "a.wlan",
    ):
        assert not refusal(PUBLIC.check, f"https://{name}/")


def test_an_address_in_the_url_is_judged_at_once():
    assert not refusal(PUBLIC.check, "https://1.1.1.1/")
    assert not refusal(PUBLIC.check, "https://[2606:4700:4700::1111]/")
    for host in ("127.0.0.1", "[::1]", "[::ffff:8.8.8.8]", "169.254.169.254"):
        assert refusal(PUBLIC.check, f"https://{host}/").reason == "private_address"


def test_naming_an_address_does_not_make_it_public():
    named = UrlPolicy.only("10.0.0.5", "::1")
    assert refusal(named.check, "https://10.0.0.5/").reason == "private_address"
    assert refusal(named.check, "https://[0:0::1]/").reason == "private_address"
    private = dataclasses.replace(named, private=True)
    assert not refusal(private.check, "https://10.0.0.5/")
    assert origin(private.check("https://[0:0::1]/")) == ("https", "0:0::1", 443)
    assert refusal(private.check, "https://10.0.0.6/").reason == "not_allowed"


def test_any_port_is_any_port_there_is():
    for port in (1, 80, 8080, 65535):
        assert not refusal(ANYWHERE.check, f"http://a.example:{port}/")
    for port in ("0", "00", "65536", "99999", "-1", "+80", "8 0", "x"):
        assert refusal(ANYWHERE.check, f"http://a.example:{port}/")


# ---- addresses


def test_addresses_come_as_text_or_as_values():
    for ip in ("8.8.8.8", IPv4Address("8.8.8.8"), "2606:4700::1", IPv6Address("2606:4700::1")):
        PUBLIC.check_address(ip)
    for ip in ("10.0.0.1", IPv4Address("10.0.0.1"), "fe80::1", IPv6Address("fe80::1")):
        assert refusal(PUBLIC.check_address, ip).reason == "private_address"


@pytest.mark.parametrize("ip", ["", "x", "127.1", "0x7f.0.0.1", "010.0.0.1", "1.2.3.4 ", "::g", "1.2.3.4\n", "[::1]"])
def test_what_is_no_address_is_refused(ip):
    for policy in (PUBLIC, ANYWHERE):
        assert "is not an IP address" in refusal(policy.check_address, ip).detail


@pytest.mark.parametrize("ip", ["fe80::1%eth0", "2606:4700::1%1", IPv6Address("fe80::1%lo"), "fe80::1%\x1b[31m"])
def test_zone_ids_are_refused_by_every_policy(ip):
    for policy in (PUBLIC, ANYWHERE):
        error = refusal(policy.check_address, ip)
        assert "zone id" in error.detail
        assert error.detail.isprintable()


@pytest.mark.parametrize(
    ("ip", "words"),
    [
        ("127.0.0.1", "address 127.0.0.1 is not admitted: loopback (RFC 1122)"),
        ("169.254.169.254", "cloud metadata (AWS, Azure, Google, Oracle, OpenStack)"),
        ("168.63.129.16", "Azure WireServer"),
        ("64:ff9b::7f00:1", "it carries 127.0.0.1 (NAT64, RFC 6052)"),
        ("2001:470:1:0:200:5efe:a00:1", "it carries 10.0.0.1 (ISATAP, RFC 5214)"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo (RFC 4380)"),
        ("4000::1", "outside 2000::/3"),
    ],
)
def test_a_refused_address_says_what_it_is(ip, words):
    assert words in refusal(PUBLIC.check_address, ip).detail


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "169.254.1.1", "0.1.2.3", "240.0.0.1", "::1", "fe80::1", "fd12::1", "2002:a00:1::",
           "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "64:ff9b:1:a00:0:100::", "::ffff:127.0.0.1", "8.8.8.8"]
)  # fmt: skip
def test_private_admits_addresses_of_almost_any_kind(ip):
    ANYWHERE.check_address(ip)


@pytest.mark.parametrize(
    "ip", ["0.0.0.0", "::", "224.0.0.1", "239.1.1.1", "255.255.255.255", "ff02::1", "::ffff:0.0.0.0",
           "64:ff9b::224.0.0.1", "::ffff:255.255.255.255", "169.254.169.254", "169.254.170.2", "100.100.100.200",
           "168.63.129.16", "192.0.0.192", "100.96.0.96", "169.254.42.42", "fd00:ec2::254", "fd20:ce::254",
           "fd00:c1::a9fe:a9fe", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "64:ff9b:1::169.254.169.254",
           "64:ff9b:1:a9fe:a9:fe00::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601",
           "2001:470:1:0:200:5efe:169.254.169.254"]
)  # fmt: skip
def test_private_still_refuses_what_is_no_host_and_cloud_metadata(ip):
    assert refusal(ANYWHERE.check_address, ip).reason == "private_address"


def test_cloud_metadata_must_be_named_by_address_and_called_private():
    named = UrlPolicy.only(
        "169.254.169.254", "fd00:ec2::254", "metadata.google.internal", schemes=("http",), ports=(80,)
    )
    assert refusal(named.check, "http://169.254.169.254/").reason == "private_address"
    private = dataclasses.replace(named, private=True)
    assert not refusal(private.check, "http://169.254.169.254/")
    assert not refusal(private.check, "http://[fd00:ec2::254]/")
    assert refusal(private.check_address, "169.254.170.2")
    by_name = UrlPolicy.only("metadata.google.internal", private=True)
    assert refusal(by_name.check_address, "169.254.169.254")


def test_naming_what_is_no_host_admits_nothing():
    assert refusal(UrlPolicy.only("0.0.0.0", private=True).check, "https://0.0.0.0/")


# ---- redirects

HERE = httpx.URL("https://a.example/dir/file.png?ex=1")
A_AND_B = UrlPolicy.only("a.example", "b.example", schemes=("https", "http"), ports=(443, 80))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/x", "https://a.example/x"),
        ("other.png?y=1", "https://a.example/dir/other.png?y=1"),
        (b"?y=2", "https://a.example/dir/file.png?y=2"),
        (b"../../../x", "https://a.example/x"),
        (b"//b.example/x", "https://b.example/x"),
        (b"https://b.example/x", "https://b.example/x"),
        (b"HTTPS://B.example/x", "https://b.example/x"),
        (b"/http://evil.example/", "https://a.example/http://evil.example/"),
        (b"?u=https://evil.example/", "https://a.example/dir/file.png?u=https://evil.example/"),
        (b"/%E2%82%AC.png", "https://a.example/%E2%82%AC.png"),
        (b"/a\tb", "https://a.example/ab"),
        (b"https://a.exa\tmple/\tx", "https://a.example/x"),
        (b"sub\\x?a\\b", "https://a.example/dir/sub/x?a%5Cb"),
        (b"https:\\\\b.example\\x", "https://b.example/x"),
        (b"/\\b.example/x", "https://b.example/x"),
        (b"https:///b.example/x", "https://b.example/x"),
        (b"////b.example/x", "https://b.example/x"),
        (b"https:/x", "https://a.example/x"),
        (b"https:x", "https://a.example/dir/x"),
        (b"https:?y", "https://a.example/dir/file.png?y"),
        (b"#z", "https://a.example/dir/file.png?ex=1#z"),
        (b"https:", "https://a.example/dir/file.png?ex=1"),
        (b"x//y", "https://a.example/dir/x//y"),
        (b"https.html", "https://a.example/dir/https.html"),
        (b"http", "https://a.example/dir/http"),
        (b"https-2/x", "https://a.example/dir/https-2/x"),
        (b"sub/..", "https://a.example/dir/"),
        (b"/dir/sub/.?y/..", "https://a.example/dir/sub/?y/.."),
    ],
)
def test_a_redirect_leads_where_whatwg_says(location, target):
    assert A_AND_B.check_redirect(HERE, location) == httpx.URL(target)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (b"", "redirects"),
        (b"https://a.example\xe2\x82\xac/", "redirects"),
        ("//€.example/", "redirects"),
        (b"https://a.exam ple/", "redirects"),
        (b"https://a.example /", "redirects"),
        (b"\t", "redirects"),
        (b"/a\x7fb", "redirects"),
        (b"/a\x01b", "redirects"),
        (b"/a\r\nX: y", "redirects"),
        (b"/\\evil.example/", "not_allowed"),
        (b"\\\\evil.example/", "not_allowed"),
        (b"/\t/evil.example/", "not_allowed"),
        (b"https:\\/evil.example\\@a.example/", "not_allowed"),
        (b"https:///u:p@a.example/", "not_allowed"),
        (b"/" + b"a" * 65536, "redirects"),
        (b"https://evil.example/", "not_allowed"),
        (b"//evil.example/", "not_allowed"),
        (b"///evil.example/", "not_allowed"),
        (b"https:///evil.example/", "not_allowed"),
        (b"http:/evil.example/", "not_allowed"),
        (b"http:a.example", "not_allowed"),
        (b"http://a.example/", "not_allowed"),
        (b"file:///etc/passwd", "not_allowed"),
        (b"data:text/plain,x", "not_allowed"),
        (b"https://u:p@a.example/", "not_allowed"),
        (b"//u:p@a.example/", "not_allowed"),
        (b"https://a.example:8443/", "not_allowed"),
        (b":/x", "not_allowed"),
    ],
)
def test_a_redirect_elsewhere_is_refused(location, reason):
    error = refusal(A_AND_B.check_redirect, HERE, location)
    assert error is not None
    assert error.reason == reason
    assert error.detail.isprintable()


def test_a_redirect_to_a_private_address_is_refused():
    for host in (b"127.0.0.1", b"[::1]", b"localhost", b"127.0\t.0.1"):
        for start in (b"https://", b"https:///", b"https:\\\\", b"//", b"/\\", b"\\/\\", b"/\t/", b"\thttps:\t//\t"):
            assert refusal(PUBLIC.check_redirect, HERE, start + host + b"/").reason == "private_address"


def test_https_never_becomes_http_but_http_may_become_either():
    assert "from https to http" in refusal(A_AND_B.check_redirect, HERE, b"http://b.example/").detail
    plain = httpx.URL("http://a.example/")
    for location in (b"http://b.example/", b"https://b.example/", b"//b.example/"):
        assert not refusal(A_AND_B.check_redirect, plain, location)


def test_an_origin_is_scheme_host_and_port():
    a = httpx.URL("https://a.example/x?y")
    for same in ("https://a.example:443/", "HTTPS://A.example:443/z"):
        assert origin(httpx.URL(same)) == origin(a)
    for other in ("http://a.example/", "https://a.example:444/", "https://b.example/", "http://a.example:443/"):
        assert origin(httpx.URL(other)) != origin(a)
    assert origin(httpx.URL("https://[2606:4700::A]/")) == origin(httpx.URL("https://[2606:4700::a]/"))
