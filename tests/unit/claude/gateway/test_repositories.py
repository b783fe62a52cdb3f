"""Whose credential a repository is read with, and what a file of credentials says."""

import pytest

from adapters.claude.gateway.repositories import credential_for, read_credentials
from engine.repos import Repository

FILE = """
# who reads what
https://one:t%40ken@host.example/team
https://two:b@host.example/team/secret.git

https://three:c@host2.example
"""


@pytest.mark.parametrize(
    ("repository", "login"),
    [
        (Repository("host.example", "team/a"), "Basic b25lOnRAa2Vu"),
        (Repository("host.example", "team/secret"), "Basic dHdvOmI="),
        (Repository("host.example", "team/secret.git"), "Basic dHdvOmI="),
        (Repository("host2.example", "a/b/c"), "Basic dGhyZWU6Yw=="),
        (Repository("host.example", "teams/a"), None),
        (Repository("host.example:8443", "team/a"), None),
        (Repository("evil-host2.example", "a"), None),
    ],
)
def test_the_most_precise_one_is_shown_and_to_nobody_else(repository: Repository, login: str | None) -> None:
    assert credential_for(read_credentials(FILE), repository) == login


@pytest.mark.parametrize(
    "line",
    [
        "made-up-secret",
        "http://user:made-up-secret@host.example",
        "https://made-up-secret@host.example",
        "https://:made-up-secret@host.example",
        "https://user:@host.example",
        "https://user:made-up-secret@host",
        "https://user:made-up-secret@hostless",
        "https://user:made-up-secret@host.example/a?b",
    ],
)
def test_what_is_no_credential_is_told_by_its_line_and_not_shown(line: str) -> None:
    with pytest.raises(ValueError, match=r"has a line \(2\) that is not https") as error:
        read_credentials(f"https://a:b@host.example\n{line}\n")
    assert "secret" not in str(error.value)


def test_a_credential_does_not_show_itself() -> None:
    assert "t@ken" not in repr(read_credentials(FILE))
    assert "b25l" not in repr(read_credentials(FILE))
