"""Nothing that a person, the bot or Claude writes runs in the page, leads elsewhere by itself, or loads from elsewhere."""

from typing import Any

import aiohttp
import pytest
from playwright.async_api import expect

from tests.browser.windows import SECONDS, Discord, Json, Windows

SCRIPT = "window.ran=1"
HOSTILE = [
    f"<script>{SCRIPT}</script>",
    f"<img src=x onerror={SCRIPT}>",
    f"<svg/onload={SCRIPT}><a xlink:href='javascript:{SCRIPT}'>x</a></svg>",
    f"<iframe srcdoc='<script>parent.{SCRIPT}</script>'></iframe>",
    "<style>@import 'http://evil.example/x.css';</style><link rel=stylesheet href=http://evil.example/y.css>",
    f"<base href=http://evil.example/><meta http-equiv=refresh content='0;url=javascript:{SCRIPT}'>",
    f"<form action=javascript:{SCRIPT}><button autofocus onfocus={SCRIPT}>x",
    f"[click](javascript:{SCRIPT})",
    f"[click](JaVaScRiPt&colon;{SCRIPT})",
    f"[click](data:text/html,<script>{SCRIPT}</script>)",
    f"[click](vbscript:{SCRIPT}) <javascript:{SCRIPT}>",
    f'[a](https://example.com/"onmouseover="{SCRIPT})',
    f'![x](http://evil.example/pixel.png) ![y](x"onerror="{SCRIPT})',
    f"```html\n<script>{SCRIPT}</script>\n```",
    f"```<script>\n{SCRIPT}\n```",
    f'```{"x" * 30}"><img src=x onerror={SCRIPT}>\n1\n```',
    f"`<img src=x onerror={SCRIPT}>` ||<img src=x onerror={SCRIPT}>||",
    f'\x1b]8;;javascript:{SCRIPT}\x07link\x1b]8;;\x07 ```ansi\n\x1b[31;"onload={SCRIPT}m red\n```',
    f'<t:99999999999999:R> <t:-999999999999:F> <t:1:<b>> <@1"onload={SCRIPT}> <#999> <@&1> </x:1> <a:x:1>',
    "{{constructor.constructor('window.ran=1')()}} ${window.ran=1} <%= window.ran=1 %>",
    "\u202egnp.exe\u202c \u0000 \ufeff \U000e0001",
    "> " * 200 + "deep",
    "*" * 300 + "a" + "*" * 300,
    "[" * 300 + "](x)",
    "|" * 999,
    "__proto__ constructor toString [hasOwnProperty](https://example.com)",
    f"https://example.com/<script>{SCRIPT}</script> http://user:pass@host.evil.example/",
]


def _everywhere(text: str) -> Json:
    """In every place of a message that has words."""
    elsewhere = f"javascript:{SCRIPT}"
    embed: Json = {
        "title": text[:256],
        "description": text,
        "url": elsewhere,
        "color": 1,
        "author": {"name": text, "url": elsewhere},
        "footer": {"text": text},
        "image": {"url": "http://evil.example/image.png"},
        "fields": [{"name": text, "value": text}],
    }
    buttons: list[Json] = [
        {"type": 2, "style": 1, "label": text[:80], "custom_id": f'"><script>{SCRIPT}</script>'},
        {"type": 2, "style": 5, "label": "link", "url": elsewhere},
    ]
    option: Json = {"label": text[:100], "value": text[:100], "description": text[:100]}
    contained: list[Json] = [
        {"type": 10, "content": text},
        {"type": text},
        {"type": 12, "items": [{"media": {"url": elsewhere}, "description": text}]},
        {"type": 11, "media": {"url": "//evil.example/x.png"}},
        {"type": 13, "file": {"url": f"data:text/html,{text}"}},
    ]
    rows: list[Json] = [
        {"type": 1, "components": buttons},
        {"type": 1, "components": [{"type": 3, "custom_id": "s", "placeholder": text[:150], "options": [option]}]},
        {"type": 17, "accent_color": 1, "components": contained},
    ]
    return {"content": text, "embeds": [embed], "components": rows}


async def test_nothing_that_is_written_runs(window: Windows, discord: Discord) -> None:
    page = await window.open("bob")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    for text in HOSTILE:
        status, _ = await discord.act("alice", "say", {"channel": discord.info["channel_id"], **_everywhere(text)})
        assert status == 200
    await discord.act("alice", "say", {"channel": discord.info["channel_id"], "content": "the end"})
    await expect(page.locator("article .body").last).to_have_text("the end", timeout=SECONDS)
    await page.evaluate("() => document.querySelectorAll('.spoiler .cover').forEach((cover) => cover.click())")
    found: Json = await page.evaluate(
        """() => {
            const all = [...document.querySelectorAll("#messages *")];
            const values = (tag, name) => all.filter((one) => one.matches(tag)).map((one) => one.getAttribute(name));
            return {
                ran: window.ran ?? null,
                foreign: all.filter((one) => one.matches("script, iframe, object, embed, base, meta, link, style, math")).length,
                handlers: all.filter((one) => one.getAttributeNames().some((name) => name.startsWith("on"))).length,
                links: values("a", "href"),
                sources: values("img", "src"),
            };
        }"""
    )
    assert (found["ran"], found["foreign"], found["handlers"]) == (None, 0, 0)
    assert found["links"]
    assert not [one for one in found["links"] if not one.startswith(("https://", "http://"))]
    assert not [one for one in found["sources"] if not one.startswith("/attachments/")]
    own = discord.info["page"].partition("?")[0]
    assert not [one for one in asked if not one.startswith((own, own.replace("http", "ws")))]

    # the words are all there, as words
    shown = await page.locator("#messages").inner_text()
    assert shown.count(f"<script>{SCRIPT}</script>") > 5
    assert page.url.startswith(own)


@pytest.mark.parametrize("name", ["x.html", 'x".svg', "x.js", "画像.png", "..%2F..%2Fx.xml"])
async def test_a_file_is_never_a_page_of_ours(window: Windows, discord: Discord, name: str) -> None:
    page = await window.open("alice")
    script = f"<svg xmlns='http://www.w3.org/2000/svg' onload='opener.{SCRIPT}'><script>opener.{SCRIPT}</script></svg>"
    kinds = {"x.html": "text/html", 'x".svg': "image/svg+xml", "x.js": "text/javascript", "画像.png": "image/png"}
    given: Any = {"name": name, "mimeType": kinds.get(name, "text/xml"), "buffer": script.encode()}
    await page.locator("#chosen").set_input_files([given])
    await page.locator("#composer").evaluate("(form) => form.requestSubmit()")
    address = page.locator("article a").first
    await expect(address).to_be_visible()
    where = discord.info["page"].partition("/?")[0] + str(await address.get_attribute("href"))
    async with aiohttp.ClientSession() as http, http.get(where) as answer:
        assert answer.status == 200
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        inline = answer.headers["Content-Disposition"].startswith("inline")
        assert inline == (name == "画像.png")


async def test_the_policy_of_the_page_lets_nothing_run_that_is_not_its_own(discord: Discord) -> None:
    async with aiohttp.ClientSession() as http, http.get(discord.info["page"]) as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "//" not in text.replace("<!doctype", "")  # nothing from elsewhere: it works without a network


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Page-Token": "wrong"}, 403),
    ],
)
async def test_no_other_site_acts_for_somebody(discord: Discord, headers: dict[str, str], status: int) -> None:
    said = {"channel": discord.info["channel_id"], "content": "hello"}
    assert (await discord.act("alice", "say", said, **headers))[0] == status
