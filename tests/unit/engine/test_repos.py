"""How a repository is named: what is one, what is none, and what it belongs to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.repos import LONGEST, Repository, allows, is_within, place, read
from tests.property.profile import PROFILE


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://github.com/owner/name", "https://github.com/owner/name"),
        (" HTTPS://GitHub.com/Owner/Name.git/ ", "https://github.com/Owner/Name.git"),
        ("https://github.com:443/owner/.github", "https://github.com/owner/.github"),
        ("https://git.example:8443/a/b/c~d+e_f", "https://git.example:8443/a/b/c~d+e_f"),
        ("https://git.example/one", "https://git.example/one"),
        ("owner/name", "https://github.com/owner/name"),
        ("o-w/na.me", "https://github.com/o-w/na.me"),
    ],
)
def test_it_is_named_by_its_address_or_in_short(text: str, address: str) -> None:
    found = read(text)
    assert found
    assert found.address == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "http://github.com/a/b",
        "git@github.com:a/b",
        "ssh://github.com/a/b",
        "git://github.com/a/b",
        "file:///etc/passwd",
        "ext::sh -c id",
        "--upload-pack=id",
        "-u/x",
        "https://user@github.com/a/b",
        "https://user:token@host.example/a/b",
        "https://github.com",
        "https://github.com/",
        "https://github.com//a",
        "https://github.com/a/../b",
        "https://github.com/a/./b",
        "a/..",
        "https://github.com/a/-b",
        "https://github.com/a/b?x=1",
        "https://github.com/a/b#main",
        "https://github.com/a/%2e%2e",
        "https://github.com/a b",
        "https://github.com/a/b\nc",
        "https://github.com/a/\x00",
        "https://localhost/a/b",
        "https://127.0.0.1/a/b",
        "https://[::1]/a/b",
        "https://-x.example/a/b",
        "https://github.com:0/a/b",
        "https://github.com:65536/a/b",
        "https://gïthub.com/a/b",
        "git.example/a/b",
        "https://github.com/" + "a" * LONGEST,
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert read(text) is None


@PROFILE
@given(st.text() | st.from_regex(r"(https://)?[a-z.:@-]{1,12}/[A-Za-z./%?#:@ -]{1,12}", fullmatch=True))
def test_whatever_is_read_is_an_address_and_nothing_else(text: str) -> None:
    found = read(text)
    if found:
        assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z0-9-]+(:[0-9]+)?(/[\w.~+][\w.~+-]*)+", found.address, re.ASCII)
        assert not {"..", "."} & set(found.path.split("/"))
        assert read(found.address) == found


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("github.com", True),
        ("github.com:8443", False),
        ("api.github.com", False),
        ("a.example.com:8443", True),
        ("a.example.com", False),
        ("example.com:8443", False),
        ("badexample.com:8443", False),
    ],
)
def test_which_hosts_are_allowed(host: str, passes: bool) -> None:  # noqa: FBT001 - a column of the table
    assert allows(("github.com:443", "*.example.com:8443"), host) is passes


@pytest.mark.parametrize(
    ("where", "within"),
    [
        ("github.com", True),
        ("github.com/own", True),
        ("github.com/own/it", True),
        ("github.com/ow", False),
        ("github.com/own/it/er", False),
        ("hub.com", False),
    ],
)
def test_what_it_belongs_to(where: str, within: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_within(("other.example", where), Repository("github.com", "own/it.git")) is within


def test_a_place_is_a_host_an_owner_or_a_repository() -> None:
    texts = ("GitHub.com", "github.com/own/", " git.example:8443/a/b.git ", "own", "https://a.b/c", "a.b/../c", "")
    assert [place(text) for text in texts] == ["github.com", "github.com/own", "git.example:8443/a/b", *[None] * 4]
