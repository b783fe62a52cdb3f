"""The line to the local Discord breaks in every way that it can: nothing is missing afterwards, and the page says how it is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import WSMsgType, web
from playwright.async_api import Browser, Page, expect

from tests.browser.windows import SECONDS, Discord, Windows, devtools, windows


async def _shown(page: Page, *texts: str) -> None:
    await expect(page.locator("article .body")).to_have_text(list(texts), timeout=SECONDS)


async def test_it_comes_back_by_itself_and_nothing_is_missing(window: Windows, discord: Discord) -> None:
    page = await window.open("alice")
    await discord.post("before")
    await _shown(page, "before")
    discord.kill()
    await expect(page.locator("#banner")).to_have_text("Connection lost. Reconnecting…")

    # what cannot be sent meanwhile is not lost
    await page.locator("#text").fill("from here")
    await page.keyboard.press("Enter")
    await expect(page.locator("#text")).to_have_value("from here")
    discord.start()
    await discord.post("meanwhile")
    await expect(page.locator("#banner")).to_be_hidden(timeout=SECONDS)
    await _shown(page, "before", "meanwhile")
    await page.keyboard.press("Enter")
    await _shown(page, "before", "meanwhile", "from here")


async def test_a_tab_that_slept_catches_up(window: Windows, discord: Discord) -> None:
    page = await window.open("alice")
    await discord.post("0")
    await _shown(page, "0")
    session = await devtools(page)
    await session.send("Page.setWebLifecycleState", {"state": "frozen"})
    discord.kill()  # its line dies while it does not look
    discord.start()
    for number in range(1, 4):
        await discord.post(str(number))
    await session.send("Page.setWebLifecycleState", {"state": "active"})
    await _shown(page, "0", "1", "2", "3")


async def test_two_tabs_of_one_person_are_one_person(window: Windows) -> None:
    one, other = await window.open("alice"), await window.open("alice")
    await other.locator("#text").fill("a draft")
    await one.locator("#text").fill("sent once")
    await one.keyboard.press("Enter")
    for page in (one, other):
        await _shown(page, "sent once")
    await expect(other.locator("#text")).to_have_value("a draft")


async def test_a_wrong_token_is_said_and_not_tried_for_ever(browser: Browser, discord: Discord) -> None:
    for address in (discord.info["page"] + "x", discord.info["page"].partition("?")[0] + "?token="):
        async with windows(browser, address) as opened:
            page = await opened.open("alice")
            await expect(page.locator("#banner")).to_contain_text("This is not the whole address", timeout=SECONDS)
            asked: list[str] = []
            page.on("websocket", lambda line, asked=asked: asked.append(line.url))
            await page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
            await expect(page.locator("#banner")).to_contain_text("This is not the whole address")
            assert not asked


async def test_nobody_of_that_name_is_somebody_who_is_there(window: Windows) -> None:
    page = await window.open("nobody")
    await expect(page.locator("#person")).to_have_value("alice", timeout=SECONDS)


@asynccontextmanager
async def _cutting(discord: Discord) -> AsyncGenerator[str]:
    """The same Discord behind a line that is cut after the first message, then after two, then after three, …"""
    base, most = f"http://127.0.0.1:{discord.info['port']}", 0

    async def pass_on(request: web.Request) -> web.StreamResponse:
        nonlocal most
        if request.headers.get("Upgrade", "").lower() != "websocket":
            headers = {
                name: request.headers[name] for name in ("X-Page-Token", "Content-Type") if name in request.headers
            }
            data = await request.read()
            async with http.request(request.method, base + request.path_qs, data=data, headers=headers) as answer:
                kept = {
                    name: answer.headers[name]
                    for name in ("Content-Type", "Content-Security-Policy")
                    if name in answer.headers
                }
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        ws, left = web.WebSocketResponse(), (most := most + 1)
        await ws.prepare(request)
        async with http.ws_connect(base + request.path_qs, max_msg_size=0) as behind:
            asking = asyncio.ensure_future(_forward(ws, behind))
            async for told in behind:
                if told.type is WSMsgType.TEXT:
                    await ws.send_str(told.data)
                    left -= 1
                if left == 0:
                    break
            asking.cancel()
            assert request.transport
            request.transport.abort()
        return ws

    app = web.Application(client_max_size=0)
    app.add_routes([web.route("*", "/{path:.*}", pass_on)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    async with aiohttp.ClientSession() as http:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/?{discord.info['page'].partition('?')[2]}"
        await runner.cleanup()


async def _forward(ws: web.WebSocketResponse, behind: aiohttp.ClientWebSocketResponse) -> None:
    async for asked in ws:
        await behind.send_str(asked.data)


async def test_a_line_that_is_cut_at_every_message_loses_none(browser: Browser, discord: Discord) -> None:
    message = await discord.post("0")
    async with _cutting(discord) as address, windows(browser, address) as opened:
        page = await opened.open("alice")
        await _shown(page, "0")
        for number in range(1, 5):
            await discord.edit(message, content=f"edited {number}")
            await discord.post(str(number))
            await _shown(page, f"edited {number}", *(str(one) for one in range(1, number + 1)))
        await page.locator("#text").fill("mine")
        await page.keyboard.press("Enter")
        await _shown(page, "edited 4", "1", "2", "3", "4", "mine")
