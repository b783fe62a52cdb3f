"""axe's rules, all of them, on every state of the page: none is broken."""

from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.test_page import BUTTON, MODAL, START
from tests.browser.windows import NARROW, SECONDS, WIDE, Discord, Everything, Json, Windows, answering, windows

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
SHOWN = (
    "# One\n## Two\n**bold** `code` ||hidden|| <t:1790000000:R> <@1> [link](https://example.com)\n> quoted\n- item\n-# small\n"
    "```python\ndef f(x: int) -> str:  # why\n    return f'{x}' + \"y\"\n```\n```diff\n@@ -1 +1 @@\n-old\n+new\n```\n"
    "```ansi\n\x1b[1;31mred\x1b[0m \x1b[32mgreen\x1b[33;40myellow\x1b[0m \x1b[36;44mcyan\x1b[0m\n```"
)
STYLES = [BUTTON | {"style": style, "custom_id": f"b{style}", "label": f"Style {style}"} for style in (1, 2, 3, 4)]
ROWS: list[Json] = [
    {"type": 1, "components": [*STYLES, {"type": 2, "style": 5, "label": "Link", "url": "https://example.com"}]},
    {"type": 1, "components": [BUTTON | {"custom_id": "off", "disabled": True}]},
    {
        "type": 1,
        "components": [{"type": 3, "custom_id": "s", "options": [{"label": "Big", "value": "b", "description": "x"}]}],
    },
    {
        "type": 1,
        "components": [
            {
                "type": 3,
                "custom_id": "m",
                "max_values": 2,
                "options": [{"label": "A", "value": "a"}, {"label": "B", "value": "b"}],
            }
        ],
    },
]
EMBED: Json = {"title": "Usage", "url": "https://example.com", "description": "words", "footer": {"text": "small"}}
CONTAINER: Json = {"type": 17, "components": [{"type": 10, "content": "In a container"}, {"type": 14}, {"type": 99}]}


async def _broken(page: Page) -> list[str]:
    """The rules that are broken, and where."""
    await page.evaluate(AXE)
    found: Json = await page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(
    ("person", "size", "scheme"), [("alice", WIDE, "dark"), ("bob", NARROW, "light")], ids=["wide dark", "narrow light"]
)
async def test_every_state_of_the_page(
    window: Windows, discord: Discord, person: str, size: tuple[int, int], scheme: Any
) -> None:
    await discord.register(START)

    async def answer(asked: Json) -> Json | None:
        if asked["type"] == 2:
            return {"type": 4, "data": {"content": "Only for **you** <t:1790000000:f>\n-# small", "flags": 64}}
        return MODAL if asked["data"].get("custom_id") == "b1" else None

    async with answering(discord, answer):
        page = await window.open(person, size, scheme)
        await expect(page.locator("#welcome")).to_be_visible()
        assert not await _broken(page)

        await discord.post(SHOWN, components=ROWS, embeds=[EMBED])
        await discord.post(flags=1 << 15, components=[CONTAINER])
        me = str(await page.locator("#person").input_value())
        await discord.act(me, "say", {"channel": discord.info["channel_id"], "content": "hello"})
        await expect(page.locator("article")).to_have_count(3)
        await page.get_by_role("button", name="Style 2").click()
        await expect(page.locator("article .failed")).to_be_visible(timeout=SECONDS)
        await page.locator("article").last.hover()
        assert not await _broken(page)

        await page.locator("#text").fill("/claude")
        await expect(page.locator("#picker")).to_be_visible()
        assert not await _broken(page)
        await page.locator("#picker [role=option]").first.click()
        await page.keyboard.press("Enter")
        await expect(page.locator("#lacking")).not_to_be_empty()
        assert not await _broken(page)
        await page.keyboard.press("Escape")
        await page.locator("#text").fill("/claude stop")
        await page.keyboard.press("Enter")
        await expect(page.locator("article.private")).to_be_visible()
        assert not await _broken(page)

        await page.get_by_role("button", name="Style 1").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert not await _broken(page)
        await page.keyboard.press("Escape")
        if size == NARROW:
            await page.locator("#menu").click()
            assert not await _broken(page)
            await page.keyboard.press("Escape")
        discord.kill()
        await expect(page.locator("#banner")).to_be_visible()
        assert not await _broken(page)


@pytest.mark.cli
@pytest.mark.timeout(300)  # it may be the one that starts everything
@pytest.mark.parametrize(("person", "scheme"), [("alice", "dark"), ("bob", "light")])
async def test_the_log(everything: Everything, browser: Any, person: str, scheme: str) -> None:
    async with windows(browser, everything.page) as opened:
        page = await opened.open(person, WIDE, scheme)
        await page.locator("#show_log").click()
        await page.locator("#text").fill("/claude status")
        await page.keyboard.press("Enter")
        await expect(page.locator("#events .event").first).to_be_visible(timeout=SECONDS)
        await page.locator("#events .event").first.click()
        await expect(page.locator("#events .fields")).to_be_visible(timeout=SECONDS)
        assert not await _broken(page)
