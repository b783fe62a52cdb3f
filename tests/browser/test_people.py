"""Who may what, clicked through by an owner and a stranger: asked, let in, in the line, served, removed in the middle of a turn."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from adapters.local.discord.people import Person, open_people
from adapters.local.people_script import ENGLISH
from tests.browser.hands import button, choose, press, say, sees, start
from tests.browser.windows import SECONDS, Everything, windows

pytestmark = [pytest.mark.cli, pytest.mark.timeout(300)]

SANDBOXES = 3
"""As many as the playground has: all of them are taken when the stranger comes."""


@asynccontextmanager
async def _all_taken(owner: Person, general: str) -> AsyncGenerator[None]:
    """What others find in this playground afterwards is what was there before."""
    known = owner.threads(general)
    for _ in range(SANDBOXES):
        await owner.slash("claude", "start", channel=general)
    await owner.wait(lambda: len(owner.threads(general)) == len(known) + SANDBOXES, "the threads")
    try:
        yield
    finally:
        for thread in owner.threads(general):
            if thread not in known:  # some are closed already
                await owner.slash("claude", "close", channel=thread)


async def _remove(page: Page, name: str) -> None:
    await choose(page, "/claude delete user")
    person = page.locator("#option_person")
    await person.select_option(await person.locator("option", has_text=name).get_attribute("value"))
    await page.locator("form", has=person).locator("button.primary").click()


async def _play(owner: Page, stranger: Page, carol: Person, general: str) -> None:
    members, known = owner.locator("#members li", has_text="Carol"), carol.threads(general)

    # asked, in words that only she sees; let in, and called: her own request runs, and her window shows its thread
    await start(stranger, ENGLISH.slow)
    await expect(stranger.locator("article.private", has_text="I have asked the owners")).to_be_visible(timeout=SECONDS)
    await press(owner, "Approve")
    await carol.wait_message(general, lambda one: "let you in" in one["content"], "the welcome")
    await expect(members).to_have_count(1, timeout=SECONDS)

    # it waits in the line, and the owner makes room for it
    thread = await carol.wait_thread(general, known)
    await stranger.locator(f"[data-channel='{thread}']").first.click()
    await sees(stranger, "you are next in the line")
    await expect(button(stranger, "Leave the line")).to_be_visible()
    await choose(owner, "/claude sessions")
    await press(owner, "Close 1")
    await sees(stranger, "The river went on")
    await expect(button(stranger, "Leave the line")).to_have_count(0)

    # removed in the middle of the turn: her thread says so, gives her what was made, and hears her no more
    await _remove(owner, "Carol")
    await sees(stranger, "from those who may use Claude here")
    await expect(stranger.locator("#messages")).to_contain_text("transcript.jsonl", timeout=SECONDS)
    await expect(members).to_have_count(0, timeout=SECONDS)
    await say(stranger, ENGLISH.late)
    await expect(stranger.locator("article", has_text=ENGLISH.late).last).to_contain_text("🚫", timeout=SECONDS)


async def test_a_stranger_is_let_in_waits_is_served_and_removed(browser: Browser, everything: Everything) -> None:
    async with windows(browser, everything.page) as opened, open_people({"page": everything.page}) as people:
        alice, carol = people["alice"], people["carol"]
        general = next(one["id"] for one in alice.channels.values() if one["type"] == 0)
        async with _all_taken(alice, general):
            owner, stranger = await opened.open("alice"), await opened.open("carol")
            await owner.locator("#show_log").click()
            holders = owner.locator("#quota li", has_text="has one")
            await expect(holders).to_have_count(SANDBOXES, timeout=SECONDS)
            await _play(owner, stranger, carol, general)
        await expect(holders).to_have_count(0, timeout=SECONDS)
