"""What Discord refuses, and when: limits, clocks, nonces, codes."""

import pytest

from adapters.local.discord.server import DiscordError
from tests.integration.local_discord.conftest import Local


def _messages(channel: str) -> str:
    return f"/channels/{channel}/messages"


async def test_the_sixth_message_waits_for_one_slot(local: Local) -> None:
    for number in range(5):
        status, headers, _ = await local.call("POST", _messages(local.general), {"content": str(number)})
        assert (status, headers["X-RateLimit-Remaining"]) == (200, str(4 - number))
    status, headers, body = await local.call("POST", _messages(local.general), {"content": "6"})
    assert (status, headers["Retry-After"], body["global"]) == (429, "1.000", False)
    local.time.now += 1
    assert (await local.call("POST", _messages(local.general), {"content": "6"}))[0] == 200


async def test_whoever_left_is_no_member_but_the_owner_stays(local: Local) -> None:
    world = local.server.store.world
    path = f"/guilds/{world['guild']}/members/{world['people']['bob']['id']}"
    assert (await local.call("GET", path))[0] == 200
    local.server.leave("bob")
    status, _, body = await local.call("GET", path)
    assert (status, body["code"]) == (404, 10007)
    assert "bob" not in [one["user"]["username"] for one in local.server.guild()["members"]]
    with pytest.raises(DiscordError, match="Invalid Guild"):
        local.server.leave("alice")


async def test_messages_and_edits_are_counted_apart(local: Local) -> None:
    made = [(await local.call("POST", _messages(local.general), {"content": "x"}))[2] for _ in range(5)]
    status, _, body = await local.call("PATCH", f"{_messages(local.general)}/{made[0]['id']}", {"content": "y"})
    assert (status, body["content"]) == (200, "y")


async def test_a_nonce_makes_one_message_for_five_minutes(local: Local) -> None:
    asked = {"content": "once", "nonce": "n", "enforce_nonce": True}
    first = (await local.call("POST", _messages(local.general), asked))[2]
    local.time.now += 299
    assert (await local.call("POST", _messages(local.general), asked))[2]["id"] == first["id"]
    local.time.now += 2
    assert (await local.call("POST", _messages(local.general), asked))[2]["id"] != first["id"]


async def test_an_interaction_is_answered_once_within_three_seconds_and_for_fifteen_minutes(local: Local) -> None:
    async def interact() -> str:
        identity = await local.server.interact(2, local.general, "alice", {"name": "claude"})
        kept = local.server.store.get("interaction", identity)
        assert kept
        return f"{identity}/{kept['token']}"

    late = await interact()
    local.time.now += 3.01
    status, _, body = await local.call("POST", f"/interactions/{late}/callback", {"type": 5})
    assert (status, body["code"]) == (404, 10062)

    held = await interact()
    status, _, body = await local.call("POST", f"/interactions/{held}/callback?with_response=true", {"type": 5})
    assert (status, body["interaction"]["response_message_loading"]) == (200, True)
    status, _, body = await local.call("POST", f"/interactions/{held}/callback", {"type": 5})
    assert (status, body["code"]) == (400, 40060)

    original = f"/webhooks/1/{held.partition('/')[2]}/messages/@original"
    local.time.now += 899
    assert (await local.call("PATCH", original, {"content": "done"}))[2]["content"] == "done"
    local.time.now += 2
    status, _, body = await local.call("PATCH", original, {"content": "too late"})
    assert (status, body["code"]) == (401, 50027)


async def test_old_messages_are_edited_three_times_in_six_seconds(local: Local) -> None:
    _, _, made = await local.call("POST", _messages(local.general), {"content": "old"})
    local.time.now += 3601
    edit = f"{_messages(local.general)}/{made['id']}"
    assert [(await local.call("PATCH", edit, {"content": "x"}))[0] for _ in range(3)] == [200, 200, 200]
    assert (await local.call("PATCH", edit, {"content": "x"}))[2]["code"] == 30046


@pytest.mark.parametrize(("content", "code"), [("x" * 2001, 50035), ("", 50006)], ids=["too long", "empty"])
async def test_what_cannot_be_sent(local: Local, content: str, code: int) -> None:
    status, _, body = await local.call("POST", _messages(local.general), {"content": content})
    assert (status, body["code"]) == (400, code)


async def test_an_archived_thread_is_not_edited_but_wakes_for_a_message(local: Local) -> None:
    _, _, thread = await local.call("POST", f"/channels/{local.general}/threads", {"name": "t", "type": 11})
    _, _, made = await local.call("POST", _messages(thread["id"]), {"content": "x"})
    await local.call("PATCH", f"/channels/{thread['id']}", {"archived": True})
    _, _, body = await local.call("PATCH", f"{_messages(thread['id'])}/{made['id']}", {"content": "y"})
    assert body["code"] == 50083
    assert (await local.call("POST", _messages(thread["id"]), {"content": "z"}))[0] == 200
    assert not (await local.call("GET", f"/channels/{thread['id']}"))[2]["thread_metadata"]["archived"]


async def test_a_message_has_one_thread_and_it_has_the_messages_id(local: Local) -> None:
    _, _, made = await local.call("POST", _messages(local.general), {"content": "x"})
    path = f"{_messages(local.general)}/{made['id']}/threads"
    status, _, thread = await local.call("POST", path, {"name": "t"})
    assert (status, thread["id"]) == (201, made["id"])
    assert (await local.call("POST", path, {"name": "t"}))[2]["code"] == 160004


async def test_a_thread_falls_asleep_after_one_of_four_times(local: Local) -> None:
    path = f"/channels/{local.general}/threads"
    for minutes, expected in ((10080, 201), (604_800, 400)):
        asked = {"name": "t", "type": 11, "auto_archive_duration": minutes}
        assert (await local.call("POST", path, asked))[0] == expected


async def test_what_it_lacks_it_says_loudly(local: Local) -> None:
    status, _, body = await local.call("GET", "/voice/regions")
    assert status == 501
    assert "GET /voice/regions" in body["message"]
