"""`make pictures`: the README's pictures, from the scripted conversation on the real bot, into deploy/pictures.

Each names its step of the conversation and the parts of the page that it shows; `test_pictures.py` looks whether these are there.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright, expect

from adapters.local.script import LANGUAGES, Lines
from tests.browser.windows import NO_CHROMIUM, SECONDS, Everything, find_chromium, launch, windows

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "pictures"
LARGEST = 60_000
"""Bytes of one picture: they are in everybody's clone for ever."""


class Picture(NamedTuple):
    """`step`: of the script (`adapters/local/script.py`). `shows`: selectors; none may be missing when it is taken."""

    name: str
    language: str
    step: str
    size: tuple[int, int]
    scheme: str
    shows: tuple[str, ...]


_THREAD = (
    "#top #title",
    "article .app",
    "article .body .code",
    "article .button.success",
    "article .button.danger",
    "#composer",
)
PICTURES = (
    Picture("wide-en", "en", "command", (1200, 720), "dark", ("#sidebar .channel", *_THREAD, "#log #events .event")),
    Picture("narrow-en", "en", "command", (360, 720), "dark", ("#menu", *_THREAD)),
    Picture("wide-ja", "ja", "command", (1200, 720), "light", ("#sidebar .channel", *_THREAD, "#log #events .event")),
    Picture("narrow-ja", "ja", "command", (360, 720), "light", ("#menu", *_THREAD)),
)


async def take(address: str, browser: Browser, language: str) -> None:
    """All pictures of a language, of one session."""
    lines = LANGUAGES[language]
    async with windows(browser, address) as opened:
        page = await opened.open(lines.person)
        await _play(page, lines)
        where = f"#{page.url.partition('#')[2]}"
        for picture in (one for one in PICTURES if one.language == language):
            shown = await opened.open(lines.person, picture.size, picture.scheme, where=where)
            await expect(shown.get_by_role("button", name=lines.always, exact=True).last).to_be_visible(timeout=SECONDS)
            if "#log #events .event" in picture.shows:
                await shown.locator("#show_log").click()
            await _sees(shown, picture.shows)
            _keep(picture, await shown.screenshot())


async def _play(page: Page, lines: Lines) -> None:
    """Up to the question before a command (the step `command`)."""
    await page.locator("#text").fill("/claude sta")
    await page.locator("#picker [role=option]").first.click()
    await page.locator("#option_prompt").fill(lines.write)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name=lines.allow, exact=True).click(timeout=SECONDS)
    await expect(page.locator("article", has_text=lines.done)).to_be_visible(timeout=SECONDS)
    await page.locator("#text").fill(lines.run)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name=lines.always, exact=True).last).to_be_visible(timeout=SECONDS)


async def _sees(page: Page, selectors: Iterable[str]) -> None:
    for selector in selectors:
        await expect(page.locator(f"{selector} >> visible=true").last, selector).to_be_attached(timeout=SECONDS)


def _keep(picture: Picture, data: bytes) -> None:
    image = Image.open(io.BytesIO(data)).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{picture.name}.png"
    image.save(path, optimize=True)
    print(f"{path.name}: {picture.size[0]} x {picture.size[1]}, {path.stat().st_size // 1000} kB")


async def main() -> None:
    path = find_chromium()
    if path is None:
        sys.exit(NO_CHROMIUM)
    with tempfile.TemporaryDirectory() as folder:
        everything = Everything(Path(folder))
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright, path)
                for language in LANGUAGES:
                    await take(everything.page, browser, language)
                await browser.close()
        finally:
            everything.end()


if __name__ == "__main__":
    asyncio.run(main())
