"""What somebody does in a window, and waits to see."""

from playwright.async_api import Locator, Page, expect

from tests.browser.windows import SECONDS


async def choose(page: Page, command: str) -> None:
    """As somebody would: what they type of a command, and the first of what is offered."""
    await page.locator("#text").fill(command)
    await page.locator("#picker [role=option]").first.click()


async def start(page: Page, prompt: str) -> None:
    """`/claude start` with its option, and Enter."""
    await choose(page, "/claude sta")
    await page.locator("#option_prompt").fill(prompt)
    await page.keyboard.press("Enter")


async def begin(page: Page, prompt: str) -> None:
    """A new session, and the page in its thread."""
    await start(page, prompt)
    await expect(page.locator("#title")).to_contain_text("Claude ·", timeout=SECONDS)


async def say(page: Page, text: str) -> None:
    """Write in the channel that is open."""
    await page.locator("#text").fill(text)
    await page.keyboard.press("Enter")


def button(page: Page, label: str) -> Locator:
    """The newest of that label."""
    return page.get_by_role("button", name=label, exact=True).last


async def press(page: Page, label: str) -> None:
    """Until the bot hears it: what is pressed while it is away fails, is said to have failed, and may be pressed again."""
    await expect(button(page, label)).to_be_visible(timeout=SECONDS)
    article = page.locator(f"#{await page.locator('article', has=button(page, label)).last.get_attribute('id')}")
    while True:
        await button(page, label).click()
        await expect(article.locator("[aria-busy]")).to_have_count(0, timeout=SECONDS)
        if not await article.locator(".failed").count():
            return


async def sees(page: Page, words: str) -> None:
    """Until a message says that."""
    await expect(page.locator("article", has_text=words).last).to_be_visible(timeout=SECONDS)
