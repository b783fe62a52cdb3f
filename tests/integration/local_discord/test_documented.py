"""Every answer of the local Discord is one that Discord documents: each path it has, and what it refuses."""

from pathlib import Path

import pytest

from adapters.local.discord.rest import PREFIX, Rest
from tests.integration.local_discord.conftest import Json, Local
from tests.openapi import Document, document, undocumented

pytestmark = pytest.mark.usefixtures("shared")


@pytest.fixture
def judge(shared: Path) -> Document:
    found = document()
    assert found, f"{shared} has no data/discord-openapi.json"
    return found


async def test_every_answer_is_documented(local: Local, judge: Document) -> None:
    world = local.server.store.world
    app, guild, general = world["application"], world["guild"], local.general
    thread_of = {"name": "t", "auto_archive_duration": 1440}
    button = {"type": 2, "style": 1, "label": "Go", "custom_id": "go"}
    start = {"name": "start", "description": "Start", "type": 1}
    claude = {"name": "claude", "description": "Sessions", "type": 1, "options": [start]}
    calls: list[Json] = []

    async def call(method: str, path: str, body: Json | list[Json] | None = None) -> Json:
        status, _, answer = await local.call(method, path, body)
        seen = {"method": method, "path": path.partition("?")[0], "asked": body, "status": status, "answer": answer}
        calls.append(seen)
        return answer

    made = await call("POST", f"/channels/{general}/messages", {"content": "x", "nonce": "n", "enforce_nonce": True})
    at = f"/channels/{general}/messages/{made['id']}"
    rows = [{"type": 1, "components": [button]}]
    await call("PATCH", at, {"content": "y", "components": rows})
    await call("GET", at)
    await call("PUT", f"{at}/reactions/🚫/@me")
    thread = await call("POST", f"{at}/threads", thread_of)
    alone = await call("POST", f"/channels/{general}/threads", thread_of | {"type": 11})
    await call("GET", f"/channels/{general}/messages?limit=2")
    await call("GET", f"/channels/{thread['id']}")
    await call("POST", f"/channels/{thread['id']}/typing")
    await call("PUT", f"/channels/{thread['id']}/thread-members/{app}")
    await call("GET", f"/guilds/{guild}/threads/active")
    await call("GET", f"/guilds/{guild}/members/{world['people']['bob']['id']}")
    await call("PATCH", f"/channels/{alone['id']}", {"archived": True})
    for path in ("/gateway/bot", "/oauth2/applications/@me", "/applications/@me", "/users/@me"):
        await call("GET", path)
    for path in (f"/applications/{app}/commands", f"/applications/{app}/guilds/{guild}/commands"):
        await call("PUT", path, [claude])
        await call("GET", path)
    for kind, answer in ((4, {"content": "private", "flags": 64}), (5, {"flags": 64}), (6, None)):
        identity = await local.server.interact(2, general, "alice", {"name": "claude", "type": 1, "id": "1"})
        token = (local.server.store.get("interaction", identity) or {})["token"]
        asked = {"type": kind} | ({"data": answer} if answer else {})
        await call("POST", f"/interactions/{identity}/{token}/callback?with_response=true", asked)
        await call("POST", f"/webhooks/{app}/{token}?wait=true", {"content": "more", "flags": 64})
        await call("PATCH", f"/webhooks/{app}/{token}/messages/@original", {"content": "told"})
    await call("DELETE", f"/channels/{alone['id']}")
    await call("DELETE", at)
    # what it refuses
    await call("GET", at)
    await call("GET", f"/guilds/{guild}/members/1")
    await call("POST", f"/channels/{general}/messages", {"content": ""})
    await call("POST", f"/channels/{general}/messages", {"content": "x" * 2001})
    await call("POST", f"/channels/{general}/threads", thread_of | {"auto_archive_duration": 7})
    for _ in range(6):
        await call("POST", f"/channels/{general}/messages", {"content": "z"})

    assert {one["status"] for one in calls if one["status"] >= 400} == {400, 404, 429}
    every = {(one.method, one.path) for one in Rest(local.server, None).routes() if one.method != "*"}
    assert {judge.operation(one) for one in calls} == {
        judge.operation({"method": method, "path": path.removeprefix(PREFIX).replace("{", "").replace("}", "")})
        for method, path in every
    }
    assert undocumented(calls) == []


def test_what_is_not_documented_is_found(judge: Document) -> None:
    message = {"method": "POST", "path": "/channels/1/messages", "status": 204, "answer": None}
    assert judge.problems({**message, "asked": {"content": "x"}}) == [
        "POST /channels/{channel_id}/messages never answers 204"
    ]
    error = {"status": 400, "answer": {"message": "no", "code": 0}}
    assert judge.problems({**message, **error, "asked": {"content": "x"}}) == []
    long = {"type": 1, "components": [{"type": 2, "style": 1, "label": "x" * 81, "custom_id": "x"}]}
    thread = {"method": "POST", "path": "/channels/1/messages/2/threads", "status": 201}
    for call, wrong in (
        ({**message, "asked": {"content": "x", "components": [long]}}, "request of POST"),
        ({**message, "asked": {"content": "x", "contents": "y"}}, "'contents' was unexpected"),
        ({**message, "status": 200, "asked": {"content": "x"}, "answer": {"id": "1"}}, "is a required property"),
        ({**thread, "asked": {"name": "x", "auto_archive_duration": 604_800}, "answer": {}}, "request of POST"),
        ({**message, "path": "/channels/1/massages", "asked": None}, "Discord has no POST"),
    ):
        assert any(wrong in problem for problem in judge.problems(call)), wrong
