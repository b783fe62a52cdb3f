"""The main conversation, clicked through by two people, on the real bot; the bot and the local Discord die in the middle."""

import pytest
from playwright.async_api import Browser, Page, expect

from adapters.local.script import LANGUAGES
from tests.browser.hands import begin, button, press, say, sees
from tests.browser.windows import NARROW, SECONDS, WIDE, Everything, windows

pytestmark = [pytest.mark.cli, pytest.mark.timeout(300)]


async def _texts(page: Page) -> list[str]:
    """What stands in the thread for everybody; how a time is told is each person's own."""
    return await page.locator("article:not(.private) > .body").evaluate_all(
        """(bodies) => bodies.map((body) => {
            const copy = body.cloneNode(true);
            copy.querySelectorAll("time").forEach((one) => one.remove());
            return copy.textContent;
        })"""
    )


@pytest.mark.parametrize(
    ("language", "owner", "size", "scheme"),
    [("en", "alice", WIDE, "dark"), ("ja", "bob", NARROW, "light")],
    ids=["wide dark English", "narrow light Japanese"],
)
async def test_two_people_and_a_session(
    browser: Browser, everything: Everything, language: str, owner: str, size: tuple[int, int], scheme: str
) -> None:
    lines = LANGUAGES[language]
    async with windows(browser, everything.page) as opened:
        mine = await opened.open(owner, size, scheme)
        await begin(mine, lines.write)
        theirs = await opened.open("carol", where=f"#{mine.url.partition('#')[2]}")

        # both see the question; a stranger may not answer it, and is told so alone
        await sees(mine, "haiku.txt")
        await press(theirs, lines.allow)
        refused = theirs.locator("article.private", has_text="You are not a member here")
        await expect(refused).to_be_visible(timeout=SECONDS)
        await expect(mine.locator("article.private", has_text="not a member")).to_have_count(0)
        await refused.get_by_role("button", name="Dismiss message").click()
        await expect(refused).to_have_count(0)
        await press(mine, lines.allow)
        await sees(mine, lines.done)
        # the button that is looked for below is that of the next question
        await expect(button(mine, lines.always)).to_have_count(0, timeout=SECONDS)

        # the bot dies, then Discord itself: the page comes back, and nothing is missing
        everything.kill("adapters.cli run")
        await say(mine, lines.run)
        await expect(button(mine, lines.always)).to_be_visible(timeout=SECONDS)
        everything.kill("adapters.local.discord")
        await expect(mine.locator("#banner")).to_be_visible()
        await expect(mine.locator("#banner")).to_be_hidden(timeout=SECONDS)
        await press(mine, lines.always)
        await expect(mine.locator("article", has_text="3 passed").last).to_contain_text(lines.done, timeout=SECONDS)

        await say(mine, lines.slow)
        await expect(button(mine, lines.stop)).to_be_visible(timeout=SECONDS)
        await say(mine, lines.queued)
        await press(mine, lines.stop)
        await sees(mine, lines.stopped)
        await expect(mine.locator("article", has_text=lines.hello).last).to_contain_text(lines.done, timeout=SECONDS)

        await say(mine, "/claude close")
        await expect(mine.locator("#messages")).to_contain_text("changes.patch", timeout=SECONDS)
        await expect(theirs.locator("#messages")).to_contain_text("changes.patch", timeout=SECONDS)
        assert await _texts(theirs) == await _texts(mine)


async def test_play_it_for_me_and_the_log_beside_it(browser: Browser, everything: Everything) -> None:
    lines = LANGUAGES["en"]
    async with windows(browser, everything.page) as opened:
        page = await opened.open("alice")
        await page.locator("#show_log").click()
        await expect(page.locator("#log")).to_be_visible()
        await page.locator("#play").click()
        await expect(page.locator("#topic")).to_contain_text("step", timeout=SECONDS)
        await expect(page.locator("#title")).to_contain_text("Claude ·", timeout=SECONDS)
        await expect(page.locator("#messages")).to_contain_text("transcript.jsonl", timeout=SECONDS * 2)

        # a message shows its events, an event its fields
        prompt = page.locator("article", has_text=lines.run).first
        await prompt.hover()
        await prompt.get_by_role("button", name="Show events").click()
        kinds = page.locator("#events .kind")
        await expect(kinds.first).to_have_text("inbox.received")
        await expect(page.locator("#events")).to_contain_text("session.prompt_queued")
        await page.locator("#events .event", has_text="session.prompt_queued").click()
        await expect(page.locator("#events .fields")).to_contain_text(lines.run)

        # somebody else sees the events, not the text
        other = await opened.open("carol", where=f"#{page.url.partition('#')[2]}")
        await other.locator("#show_log").click()
        await other.locator("#events .event", has_text="session.prompt_queued").first.click()
        await expect(other.locator("#events .fields .sealed")).to_contain_text("only for the person it belongs to")
