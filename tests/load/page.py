"""The page: how soon what happens is painted, what a streamed answer costs it, and its longest task with 2,000 messages.

Chromium's own tracing measures its tasks (CPU time of the page's main thread, so that other processes count little).
"""

import json
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import aiohttp
from playwright.async_api import Browser, Page, async_playwright, expect

from adapters.local.discord import shapes
from adapters.local.discord.store import Store
from tests.browser.windows import NO_CHROMIUM, WIDE, Discord, Json, find_chromium, launch, windows
from tests.load.figures import Bench, figure, report

MESSAGES = 2000
BUDGET_MS = 50.0
"""What a task may take at most, so that nothing that a person does waits noticeably."""

_CATEGORIES = ["toplevel", "disabled-by-default-devtools.timeline", "devtools.timeline", "__metadata"]
_WATCH = """() => {
    window.painted = {};
    const list = document.getElementById("messages");
    new MutationObserver((changes) => {
        const ids = changes.flatMap((one) => [...one.addedNodes]).map((one) => one.dataset?.id).filter(Boolean);
        requestAnimationFrame(() => setTimeout(() => {
            for (const id of ids) window.painted[id] = performance.timeOrigin + performance.now();
        }));
    }).observe(list, { childList: true });
}"""

_MORE = """(known) => new Promise((done) => {
    const count = () => document.getElementsByTagName("article").length;
    const look = () => count() > known && done(count());
    new MutationObserver(look).observe(document.getElementById("messages"), { childList: true });
    look();
})"""


class Stage:
    """A local Discord, and the page on it."""

    def __init__(self, discord: Discord, browser: Browser, page: Page) -> None:
        self.discord = discord
        self.page = page
        self._browser = browser
        self._channel = discord.info["channel_id"]

    async def say(self, text: str) -> Json:
        return (await self.discord.act("bob", "say", {"channel": self._channel, "content": text}))[1]

    async def edit(self, message: Json, text: str) -> None:
        await self.discord.act("bob", "edit", {"channel": self._channel, "message": message["id"], "content": text})

    async def tasks(self, work: Callable[[], Awaitable[object]]) -> list[float]:
        """The tasks of the page's main thread while `work` is done, in ms."""
        await self._browser.start_tracing(page=self.page, categories=_CATEGORIES)
        await work()
        events: list[Json] = json.loads(await self._browser.stop_tracing())["traceEvents"]
        mains = {(one["pid"], one["tid"]) for one in events if one.get("args", {}).get("name") == "CrRendererMain"}
        tasks = [one for one in events if one["name"].endswith("RunTask") and (one["pid"], one["tid"]) in mains]
        return [one.get("tdur", one.get("dur", 0)) / 1000 for one in tasks]


@asynccontextmanager
async def _stage(messages: int = 0) -> AsyncGenerator[Stage | None]:
    """With so many messages in its channel; None where there is no Chromium."""
    path = find_chromium()
    if path is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), messages)
        discord = Discord(Path(folder))
        discord.start()
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright, path)
                async with windows(browser, discord.info["page"]) as opened:
                    page = await opened.open("alice", WIDE)
                    await expect(page.locator("#welcome, article").first).to_be_attached()
                    yield Stage(discord, browser, page)
                await browser.close()
        finally:
            discord.kill()


def _fill(folder: Path, count: int) -> None:
    store = Store(folder)
    for number in range(count):
        words = f"**{number}** " + "some words of a message that is as long as most are. " * (number % 7)
        made = shapes.message(shapes.snowflake(), store.world["general"], store.person("bob"), words)
        store.put("message", made["id"], made)
    store.close()


def _skip(name: str) -> None:
    print(json.dumps({"figure": name, "skipped": NO_CHROMIUM}), flush=True)


@figure
async def page_painted(bench: Bench) -> None:
    """From the time of a message at the local Discord until it is painted; to: until a bare websocket has it."""
    async with _stage() as stage:
        if stage is None:
            _skip("page_painted")
            return
        await stage.page.evaluate(_WATCH)
        ratios: list[float] = []
        mine: list[float] = []
        theirs: list[float] = []
        for _ in range(bench.rounds):
            painted, received = await _latencies(stage, count=20)
            ratios.append(statistics.median(painted) / statistics.median(received))
            mine += painted
            theirs += received
        p95 = statistics.quantiles(mine, n=20)[-1]
        told = f"bare websocket, median: {statistics.median(theirs):.3g} ms"
        report("page_painted", ratios, told, median_ms=statistics.median(mine), p95_ms=p95)


async def _latencies(stage: Stage, count: int) -> tuple[list[float], list[float]]:
    """In ms: until painted, until received, of the same messages."""
    info = stage.discord.info
    query = info["page"].partition("?")[2]
    address = f"http://127.0.0.1:{info['port']}/people/v1/stream?{query}&person=carol&page=1"
    sent: dict[str, float] = {}
    received: dict[str, float] = {}
    async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as ws:
        await ws.receive_json()
        for number in range(count):
            await stage.say(f"message {number} with **some** `words` and a [link](https://example.com)")
            while (told := await ws.receive_json())["t"] != "MESSAGE_CREATE":
                pass
            received[told["d"]["id"]] = time.time() * 1000
            sent[told["d"]["id"]] = _ms(told["d"])
    last = f"#m{list(sent)[-1]}"
    await expect(stage.page.locator(last)).to_be_in_viewport()
    await stage.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    painted: dict[str, float] = await stage.page.evaluate("() => window.painted")
    return [painted[one] - sent[one] for one in sent], [received[one] - sent[one] for one in sent]


def _ms(message: Json) -> float:
    return datetime.fromisoformat(message["timestamp"]).timestamp() * 1000


@figure
async def page_stream(bench: Bench) -> None:
    """Task time of the page while an answer of 20,000 characters streams in; to: of the same page, idle, as long."""
    async with _stage() as stage:
        if stage is None:
            _skip("page_stream")
            return
        ratios: list[float] = []
        busy: list[float] = []
        idle: list[float] = []
        seconds: list[float] = []
        for _ in range(bench.rounds):
            began = time.monotonic()
            busy.append(sum(await stage.tasks(lambda: _stream(stage, 20_000))))
            seconds.append(time.monotonic() - began)
            idle.append(sum(await stage.tasks(lambda: stage.page.wait_for_timeout(seconds[-1] * 1000))))
            ratios.append(busy[-1] / idle[-1])
        told = f"idle page: {statistics.median(idle):.3g} ms"
        report("page_stream", ratios, told, task_ms=statistics.median(busy), seconds=statistics.median(seconds))


async def _stream(stage: Stage, characters: int, step: int = 100) -> None:
    """As the bot does it: a message grows by edits, and another is begun where it is full."""
    words = "The **river** went on, past the `mill` and the two old willows.\n- and nobody counted\n"
    while characters > 0:
        text = ""
        message = await stage.say("…")
        while characters > 0 and len(text) + step < 2000:
            text = (text + words * 2)[: len(text) + step]
            characters -= step
            await stage.edit(message, text)


@figure
async def page_2000(bench: Bench) -> None:
    """The longest task while 2,000 messages are scrolled through and another one streams; to: what a task may take."""
    async with _stage(MESSAGES) as stage:
        if stage is None:
            _skip("page_2000")
            return
        await expect(stage.page.locator("article").last).to_contain_text(str(MESSAGES - 1))
        longest: list[float] = [max(await stage.tasks(lambda: _scroll_up(stage)))]
        longest += [max(await stage.tasks(partial(_scroll_about, stage))) for _ in range(bench.rounds)]
        report(
            "page_2000",
            [one / BUDGET_MS for one in longest],
            f"a task may take: {BUDGET_MS:.0f} ms",
            longest_ms=max(longest),
        )


async def _scroll_up(stage: Stage) -> None:
    """To the first message, each page of older ones as it comes."""
    await stage.page.mouse.move(WIDE[0] / 2, WIDE[1] / 2)
    known = 0
    while known < MESSAGES:
        more = stage.page.evaluate(_MORE, known)  # a locator's own work would be counted as the page's
        await stage.page.mouse.wheel(0, -100_000)
        known = int(await more)


async def _scroll_about(stage: Stage) -> None:
    """Up and down through all of them, while an answer streams in."""
    message = await stage.say("…")
    for turn in range(40):
        await stage.page.mouse.wheel(0, -3000 if turn % 20 < 10 else 3000)
        await stage.edit(message, "it **goes** on\n" * (turn + 1))
