"""`/claude start repo:`: what is refused is said to one person, and what is accepted stands in the log, sealed."""

import msgspec
import pytest

from adapters.local.discord.people import Person
from engine.commands import Policy
from schema import events as e
from tests.integration.discord.conftest import Installation

CLONES = Policy(repo_hosts=("github.com:443", "git.example:8443"))


@pytest.mark.parametrize(
    ("policy", "repo", "words"),
    [
        (Policy(), "owner/name", "whoever runs this bot has not allowed any host"),
        (CLONES, "https://me:made-up-token@host.example/a/b", "That is no repository that I can clone"),
        (CLONES, "ext::sh -c id", "That is no repository that I can clone"),
        (CLONES, "https://evil.example/a/b", "Allowed here: github.com, git.example:8443. Whoever"),
    ],
)
async def test_what_may_not_be_cloned_is_refused_and_nothing_begins(
    installation: Installation, people: dict[str, Person], general: str, policy: Policy, repo: str, words: str
) -> None:
    installation.policy = policy
    async with installation.bot(engine=True) as bot:
        await people["alice"].slash("claude", "start", channel=general, prompt="build", repo=repo)
        told = await people["alice"].wait_message(general, lambda one: words in one["content"], "the refusal")
        assert told["flags"] & 64, "only they see it"
        await bot.log.wait(lambda: bot.log.of(e.Replied))
        assert not bot.log.of(e.Requested)
        assert all(repo.encode() not in msgspec.json.encode(one.event) for one in bot.log.events)


async def test_a_session_with_a_repository_says_so_and_the_log_keeps_its_name_sealed(
    installation: Installation, people: dict[str, Person], general: str
) -> None:
    installation.policy = CLONES
    async with installation.bot(engine=True) as bot:
        await people["alice"].slash("claude", "start", channel=general, repo="Owner/Very-Secret")
        await people["alice"].wait_thread(general)
        (asked,) = bot.log.of(e.RepoAsked)
        assert await installation.keyring.open(asked.repo) == "https://github.com/Owner/Very-Secret"
        assert all(b"Very-Secret" not in msgspec.json.encode(one.event) for one in bot.log.events)
