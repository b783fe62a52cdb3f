"""Beside the conversation: who may and who has a sandbox, as it changes, and the session as it was at each of its events."""

import pytest
from playwright.async_api import Browser, expect

from tests.browser.windows import SECONDS, WIDE, Everything, windows

pytestmark = [pytest.mark.cli, pytest.mark.timeout(300)]


async def test_views_move_and_the_slider_goes_back(browser: Browser, everything: Everything) -> None:
    async with windows(browser, everything.page) as opened:
        page = await opened.open("alice", WIDE, "light")
        await page.locator("#show_log").click()
        await expect(page.locator("#members li").first).to_contain_text("owner", timeout=SECONDS)
        await expect(page.locator("#moments")).to_be_hidden()  # there is no thread yet
        await page.locator("#text").fill("/claude start")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        await expect(page.locator("#title")).to_contain_text("Claude ·", timeout=SECONDS)
        await expect(page.locator("#quota li", has_text="has one")).to_have_count(1, timeout=SECONDS)
        await expect(page.locator("#phase")).to_have_text("ready", timeout=SECONDS)

        # back to its first event, and step by step on again
        slider = page.locator("#moment")
        await slider.focus()
        await page.keyboard.press("Home")
        await expect(page.locator("#phase")).to_have_text("requested", timeout=SECONDS)
        await expect(page.locator("#moment_told")).to_contain_text("session.requested")
        await expect(page.locator("#then")).not_to_contain_text("reservation")
        await page.keyboard.press("End")
        await expect(page.locator("#phase")).to_have_text("ready", timeout=SECONDS)
        await expect(page.locator("#then")).to_contain_text("reservation")
        await expect(page.locator("#moment_told")).to_contain_text("now")

        # a thread that ends gives its sandbox back, and the view says so by itself
        await page.locator("#text").fill("/claude close")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        await expect(page.locator("#quota li", has_text="has one")).to_have_count(0, timeout=SECONDS)
        await expect(page.locator("#phase")).to_have_text("closed", timeout=SECONDS)
