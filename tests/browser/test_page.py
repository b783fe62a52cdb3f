"""The page as people use it, in front of the local Discord: writing, reading, commands, buttons, windows of its own."""

import re
from typing import Any

from playwright.async_api import Page, expect

from tests.browser.windows import NARROW, SECONDS, Discord, Json, Windows, answering, devtools

BUTTON = {"type": 2, "style": 1, "label": "Press", "custom_id": "press"}
START: Json = {
    "name": "claude",
    "description": "Claude Code",
    "options": [
        {
            "type": 1,
            "name": "start",
            "description": "Start a session",
            "description_localizations": {"ja": "セッションを始める"},
            "options": [
                {"type": 3, "name": "model", "description": "Which one", "autocomplete": True},
                {"type": 3, "name": "prompt", "description": "What to do", "required": True},
            ],
        },
        {"type": 1, "name": "stop", "description": "Stop the turn"},
    ],
}
MODAL: Json = {
    "type": 9,
    "data": {
        "custom_id": "form",
        "title": "Tell more",
        "components": [
            {"type": 1, "components": [{"type": 4, "custom_id": "short", "label": "Short", "style": 1}]},
            {"type": 18, "label": "Long", "component": {"type": 4, "custom_id": "long", "style": 2, "required": False}},
        ],
    },
}


async def _convert(page: Page, typed: str, meant: str, *, before: Any) -> None:
    """What an input method does: words in the making, the Enter that confirms them (a key 229), and what they became."""
    session = await devtools(page)
    at_end = {"selectionStart": len(typed), "selectionEnd": len(typed)}
    await session.send("Input.imeSetComposition", {"text": typed} | at_end)
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    await session.send("Input.dispatchKeyEvent", {"type": "rawKeyDown"} | enter)
    await before()
    await session.send("Input.insertText", {"text": meant})


async def test_enter_sends_shift_enter_breaks_and_the_enter_of_a_conversion_does_neither(window: Windows) -> None:
    page, other = await window.open("alice"), await window.open("bob", NARROW, "light")
    text = page.locator("#text")
    await text.click()
    await page.keyboard.type("one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    await page.keyboard.press("Enter")
    await expect(other.locator("article .body")).to_have_text("one\ntwo", use_inner_text=True)

    await text.click()
    await _convert(page, "にほん", "日本", before=lambda: expect(text).to_have_value("にほん"))
    await page.keyboard.press("Enter")
    await expect(other.locator("article .body").last).to_have_text("日本")
    await expect(other.locator("article")).to_have_count(2)


async def test_what_is_written_can_be_changed_and_taken_back(window: Windows) -> None:
    page, other = await window.open("alice"), await window.open("bob")
    await page.locator("#text").fill("frist")
    await page.keyboard.press("Enter")
    await expect(other.locator("article")).to_contain_text("frist")
    await page.keyboard.press("ArrowUp")
    await page.locator(".editor textarea").fill("first")
    await page.keyboard.press("Enter")
    await expect(other.locator("article")).to_contain_text("（編集済み）")
    await expect(other.locator("article .body")).to_have_text("first")
    await page.locator("article").hover()
    await page.get_by_role("button", name="Delete").click()
    await expect(other.locator("article")).to_have_count(0)


async def test_typing_is_seen_by_others(window: Windows, discord: Discord) -> None:
    page, other = await window.open("alice"), await window.open("bob")
    await expect(other.locator("#typing")).to_have_text("")
    await page.locator("#text").press_sequentially("hm")
    await expect(other.locator("#typing")).to_have_text("Alice が入力中…")
    await discord.bot("POST", f"/channels/{discord.info['channel_id']}/typing")
    await expect(page.locator("#typing")).to_have_text("Claude is typing…")


async def test_a_command_is_found_described_completed_and_not_sent_without_what_it_needs(
    window: Windows, discord: Discord
) -> None:
    await discord.register(START)

    async def answer(asked: Json) -> Json:
        if asked["type"] == 4:
            return {"type": 8, "data": {"choices": [{"name": "Opus", "value": "o"}, {"name": "Sonnet", "value": "s"}]}}
        return {"type": 4, "data": {"content": "Started.", "flags": 64}}

    async with answering(discord, answer) as got:
        page = await window.open("bob")
        await expect(page.locator("#text")).to_be_focused()
        await page.keyboard.type("/cl")
        await expect(page.locator("#picker [role=option]")).to_have_count(2)
        await expect(page.locator("#picker [role=option]").first).to_contain_text("セッションを始める")
        await expect(page.locator("#picker .required")).to_have_text("prompt")
        await page.keyboard.press("Enter")

        # the required one is first, and nothing goes out without it
        await expect(page.locator("#option_prompt")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#lacking")).to_contain_text("prompt")
        await expect(page.locator("#option_prompt")).to_be_focused()
        await page.keyboard.type("go")
        await page.keyboard.press("Tab")
        choices = page.locator("#choices_model [role=option]")
        await expect(choices).to_have_text(["Opus", "Sonnet"])
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.locator("#option_model")).to_have_value("Sonnet")
        await page.keyboard.press("Enter")
        await expect(page.locator("article.private")).to_contain_text("Started.")
        sent = next(one for one in got if one["type"] == 2)["data"]["options"][0]["options"]
        assert {one["name"]: one["value"] for one in sent} == {"prompt": "go", "model": "s"}

        # what is seen by one person only is gone when that person puts it away, in this window and in others
        again = await window.open("bob")
        await expect(again.locator("article.private")).to_have_count(1)
        await page.locator("article.private").get_by_role("button").first.click()
        for one in (page, again):
            await expect(one.locator("article.private")).to_have_count(0)


async def test_an_answer_that_is_deferred_is_thinking_until_it_is_there(window: Windows, discord: Discord) -> None:
    await discord.register(START)

    async def answer(_: Json) -> Json:
        return {"type": 5}

    async with answering(discord, answer) as got:
        page = await window.open("alice")
        await page.locator("#text").fill("/claude stop")
        await page.keyboard.press("Enter")
        await expect(page.locator("article .thinking")).to_have_text("Claude is thinking…")
        path = f"/webhooks/{discord.info['application_id']}/{got[0]['token']}/messages/@original"
        await discord.bot("PATCH", path, {"content": "Stopped."})
        await expect(page.locator("article .body")).to_have_text("Stopped.")
        await expect(page.locator("article .thinking")).to_have_count(0)


async def test_what_the_bot_does_not_answer_has_failed_after_three_seconds(window: Windows, discord: Discord) -> None:
    await discord.register(START)
    await discord.post("Here", components=[{"type": 1, "components": [BUTTON]}])
    page = await window.open("alice")
    await page.get_by_role("button", name="Press").click()
    await page.locator("#text").fill("/claude stop")
    await page.keyboard.press("Enter")
    await expect(page.locator("[aria-busy]")).to_have_text("Press")
    await expect(page.locator("article .failed").first).to_have_text("This interaction failed")
    await expect(page.locator("article.private .failed")).to_have_text("The application did not respond")
    await expect(page.locator("[aria-busy]")).to_have_count(0)


async def test_buttons_and_selects_tell_the_bot_who_chose_what(window: Windows, discord: Discord) -> None:
    rows: list[Json] = [
        {"type": 1, "components": [BUTTON, BUTTON | {"label": "Not now", "custom_id": "no", "disabled": True}]},
        {"type": 1, "components": [{"type": 3, "custom_id": "kind", "options": [{"label": "Big", "value": "big"}]}]},
        {"type": 1, "components": [{"type": 5, "custom_id": "who"}]},
    ]
    await discord.post("Choose", components=rows)

    async def answer(asked: Json) -> Json:
        chosen = asked["data"].get("values") or ["pressed"]
        return {"type": 7, "data": {"content": f"{asked['member']['user']['username']}: {chosen[0]}"}}

    async with answering(discord, answer) as got:
        page = await window.open("alice")
        body = page.locator("article .body")
        await page.get_by_role("button", name="Press").click()
        await expect(body).to_have_text("alice: pressed")
        await expect(page.get_by_role("button", name="Not now")).to_be_disabled()
        await page.locator("[data-custom=kind]").select_option("Big")
        await expect(body).to_have_text("alice: big")
        await page.locator("[data-custom=who]").select_option("@Bob")
        await expect(body).to_have_text(re.compile(r"alice: \d+"))
        assert next(iter(got[-1]["data"]["resolved"]["users"].values()))["username"] == "bob"
        await expect(page.locator("article")).to_have_count(1)


async def test_a_modal_keeps_the_focus_and_is_submitted_once(window: Windows, discord: Discord) -> None:
    await discord.post("Form", components=[{"type": 1, "components": [BUTTON]}])

    async def answer(asked: Json) -> Json:
        return MODAL if asked["type"] == 3 else {"type": 4, "data": {"content": "Thank you.", "flags": 64}}

    async with answering(discord, answer) as got:
        page = await window.open("alice")
        button = page.get_by_role("button", name="Press")
        await button.click()
        await expect(page.get_by_role("dialog", name="Tell more")).to_be_visible()
        await expect(page.get_by_label("Short")).to_be_focused()
        for _ in range(8):
            await page.keyboard.press("Tab")
            inside = "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
            assert await page.evaluate(inside)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(button).to_be_focused()

        await button.click()
        await page.get_by_label("Short").click()
        await _convert(page, "かな", "仮名", before=lambda: expect(page.get_by_label("Short")).to_have_value("かな"))
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.get_by_label("Long").fill("first line")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Submit").dblclick()
        await expect(page.locator("article.private")).to_contain_text("Thank you.")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        submitted = [one for one in got if one["type"] == 5]
        assert len(submitted) == 1
        row, label = submitted[0]["data"]["components"]
        assert row["components"][0]["value"] == "仮名"
        assert label["component"]["value"] == "first line\n"

        # somebody who sends it again by other means is told that it is over
        kept = next(one for one in reversed(got) if one["type"] == 3)
        body: Json = {"modal": kept["id"], "custom_id": "form", "components": []}
        assert (await discord.act("alice", "submit", body))[0] == 404


async def test_what_is_not_known_is_shown_as_such(window: Windows, discord: Discord) -> None:
    known = {"type": 10, "content": "**Known**"}
    await discord.post(flags=1 << 15, components=[{"type": 17, "components": [known, {"type": 77, "new": True}]}])
    page = await window.open("alice")
    await expect(page.locator("article .container strong")).to_have_text("Known")
    await expect(page.locator("article .unknown")).to_have_text("Unknown component (type 77)")


async def test_files_are_chosen_pasted_and_dropped_and_one_that_is_too_large_is_refused(window: Windows) -> None:
    page, other = await window.open("alice"), await window.open("bob")
    await page.locator("#chosen").set_input_files(
        [
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"},
            {"name": "huge.bin", "mimeType": "application/octet-stream", "buffer": bytes((10 << 20) + 1)},
        ]
    )
    await expect(page.locator("#state")).to_have_text("huge.bin is too large: 10 MB is the limit.")
    for kind, target in (("paste", "#text"), ("drop", "#scroller")):
        carried = await page.evaluate_handle(
            """(name) => { const carried = new DataTransfer(); carried.items.add(new File(["x"], name)); return carried; }""",
            f"{kind}.txt",
        )
        await page.evaluate(
            """([kind, target, carried]) => document.querySelector(target).dispatchEvent(kind === "paste"
                 ? new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true })
                 : new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }))""",
            [kind, target, carried],
        )
    await expect(page.locator("#files .chip")).to_have_text(["notes.txt", "paste.txt", "drop.txt"])
    await page.get_by_role("button", name="Remove paste.txt").click()
    await page.locator("#text").fill("Two files")
    await page.keyboard.press("Enter")
    await expect(other.locator("article .file a")).to_have_text(["notes.txt", "drop.txt"])


async def test_new_messages_are_marked_where_they_are_and_read_in_every_window(
    window: Windows, discord: Discord
) -> None:
    first = await discord.post("A thread")
    thread = await discord.bot(
        "POST", f"/channels/{first['channel_id']}/messages/{first['id']}/threads", {"name": "Work"}
    )
    page, same = await window.open("alice"), await window.open("alice")
    there = f"[data-channel='{thread['id']}']"
    await expect(page.locator(there)).to_be_visible()
    alice = (await discord.act("alice", "say", {"channel": first["channel_id"], "content": "me"}))[1]
    mention = f"<@{alice['author']['id']}> look"
    await discord.act("bob", "say", {"channel": thread["id"], "content": mention})
    for one in (page, same):
        await expect(one.locator(f"{there}.fresh .count")).to_have_text("1")
    await page.locator(there).click()
    await expect(page.locator("#title")).to_have_text("Work")
    for one in (page, same):
        await expect(one.locator(f"{there}.fresh")).to_have_count(0)


async def test_without_a_mouse(window: Windows, discord: Discord) -> None:
    for number in range(3):
        await discord.act("alice", "say", {"channel": discord.info["channel_id"], "content": f"number {number}"})
    page = await window.open("alice")
    await expect(page.locator("article")).to_have_count(3)
    await page.locator("#scroller").focus()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("article").nth(1)).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator("article").nth(1).get_by_role("button", name="Edit")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.type("!")
    await page.keyboard.press("Enter")
    await expect(page.locator("article .body").nth(1)).to_have_text("number 1!")
    await expect(page.locator("#text")).to_be_focused()


async def test_nothing_jumps_while_an_answer_grows(window: Windows, discord: Discord) -> None:
    channel = discord.info["channel_id"]
    for number in range(30):
        await discord.act("bob", "say", {"channel": channel, "content": f"line {number}\nand more\nand more"})
    growing = await discord.post("begins")
    page = await window.open("alice")
    last = page.locator("article").last
    await expect(last).to_contain_text("begins")
    below = "(e) => e.scrollHeight - e.scrollTop - e.clientHeight"
    scroller = page.locator("#scroller")
    await discord.edit(growing, content="begins\n" + "- it goes on\n" * 60)
    await expect(last.locator("li")).to_have_count(60)
    await expect(last.locator("li").last).to_be_in_viewport()

    # who reads further up stays there
    await scroller.hover()
    await page.mouse.wheel(0, -1500)
    await expect(last.locator("li").last).not_to_be_in_viewport()
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    stood = await scroller.evaluate("(e) => e.scrollTop")
    await discord.edit(growing, content="begins\n" + "- it goes on\n" * 80)
    await expect(last.locator("li")).to_have_count(80)
    assert abs(await scroller.evaluate("(e) => e.scrollTop") - stood) < 2
    assert await scroller.evaluate(below) > 500
    await discord.post("another")
    await page.locator("#jump").click(timeout=SECONDS)
    await expect(page.locator("article").last).to_be_in_viewport()
