"""A real Chromium in front of the page. Where there is none, these tests are skipped, and say so."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.windows import NO_CHROMIUM, Discord, Everything, Windows, find_chromium, launch, windows


@pytest.fixture(scope="session")
async def browser() -> AsyncGenerator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    async with async_playwright() as playwright:
        launched = await launch(playwright, path)
        yield launched
        await launched.close()


@pytest.fixture
def discord(browser: Browser, tmp_path: Path) -> Generator[Discord]:
    started = Discord(tmp_path / "discord")
    started.start()
    yield started
    started.kill()


@pytest.fixture
async def window(browser: Browser, discord: Discord) -> AsyncGenerator[Windows]:
    async with windows(browser, discord.info["page"]) as opened:
        yield opened


@pytest.fixture(scope="package")
def everything(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Generator[Everything]:
    started = Everything(tmp_path_factory.mktemp("playground"))
    yield started
    started.end()
