import pytest

from adapters.claude.gateway.egress import Entry, find, may_reach, patterns, read_list
from adapters.claude.gateway.tunnel import Asked, Refused, read_head

LIST = read_list("crates.example, *.example.com:8443, +git.internal:22")
PUBLIC, TRUSTED = Entry("a.b", 443), Entry("a.b", 443, private=True)


def test_a_list_is_read() -> None:
    assert (
        Entry("crates.example", 443),
        Entry("example.com", 8443, below=True),
        Entry("git.internal", 22, private=True),
    ) == LIST
    assert read_list(" , ") == ()


def test_its_hosts_are_told_as_they_are_looked_for() -> None:
    assert patterns(LIST) == ("crates.example:443", "*.example.com:8443", "git.internal:22")


@pytest.mark.parametrize(
    "text",
    ["*", "*.", "localhost", "10.0.0.1", "a.b:0", "a.b:70000", "http://a.b", "a.*.b", "a_b.c", "-a.b", "a.b,é.b"],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        read_list(text)


@pytest.mark.parametrize(
    ("host", "port", "passes"),
    [
        ("crates.example", 443, True),
        ("CRATES.example.", 443, True),
        ("crates.example", 80, False),
        ("evil-crates.example", 443, False),
        ("crates.example.evil.com", 443, False),
        ("a.b.example.com", 8443, True),
        ("example.com", 8443, False),
        ("badexample.com", 8443, False),
        ("93.184.216.34", 443, False),
        ("::1", 443, False),
        ("a.example.com\0", 8443, False),
        ("", 443, False),
    ],
)
def test_who_passes(host: str, port: int, passes: bool) -> None:  # noqa: FBT001 - a column of the table
    assert (find(LIST, host, port) is not None) is passes


@pytest.mark.parametrize(
    ("address", "public", "trusted"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("10.1.2.3", False, True),
        ("192.168.0.1", False, True),
        ("100.64.0.1", False, True),
        ("fd00::1", False, True),
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("0.0.0.0", False, False),
        ("169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("224.0.0.1", False, False),
        ("::ffff:10.0.0.1", False, False),
        ("2002:0a00:0001::1", False, False),
    ],
)
def test_which_addresses_a_name_may_have(address: str, public: bool, trusted: bool) -> None:  # noqa: FBT001 - columns
    assert may_reach(PUBLIC, address) is public
    assert may_reach(TRUSTED, address) is trusted


def test_a_head_is_read() -> None:
    head = b"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\nProxy-Authorization: Basic ZGMxOnQ6MQ=="
    assert read_head(head) == Asked("a.b", 443, "t:1")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET http://a.b/ HTTP/1.1", 405),
        (b"", 405),
        (b"CONNECT a.b HTTP/1.1", 400),
        (b"CONNECT a.b:443", 400),
        (b"CONNECT a.b:-1 HTTP/1.1", 400),
        ("CONNECT a.b:４４３ HTTP/1.1".encode(), 400),
        (b"CONNECT a.b:443 HTTP/1.1", 407),
        (b"CONNECT a.b:443 HTTP/1.1\r\nProxy-Authorization: Bearer x", 407),
        (b"CONNECT a.b:443 HTTP/1.1\r\nProxy-Authorization: Basic ***", 400),
        (b"CONNECT a.b:443 HTTP/1.1\r\nProxy-Authorization: Basic w6k6w6k=", 400),
    ],
)
def test_every_other_head_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(Refused) as refused:
        read_head(head)
    assert refused.value.status == status
