"""People as programs: the client that tests, scripts and drills act with. It sees what a person sees, nothing more."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
from anyio.abc import TaskGroup

Json = dict[str, Any]

LOADING = 128
_SHOWN_ON_TIMEOUT = 6


class Person:
    """One person in front of Discord, whose page has the address `info["page"]`.

    Waiting ends with an event, or a TimeoutError that tells what was seen last.
    """

    def __init__(self, name: str, info: Json, http: aiohttp.ClientSession) -> None:
        self.name = name
        self.channels: dict[str, Json] = {}
        self._base = info["page"].partition("/?")[0]
        self._token = info["page"].partition("token=")[2]
        self._http = http
        self._messages: dict[str, Json] = {}
        self._interactions: dict[str, Json] = {}
        self._changed = anyio.Event()
        self._connected = anyio.Event()

    # --- what they do ------------------------------------------------------------------------------------------------

    async def say(self, channel: str, text: str, files: Sequence[tuple[str, bytes]] = ()) -> Json:
        """Send a message; `files` are names and contents."""
        if not files:
            return await self._act("say", {"channel": channel, "content": text})
        form = aiohttp.FormData()
        form.add_field("payload_json", json.dumps({"channel": channel, "content": text}))
        for number, (name, data) in enumerate(files):
            form.add_field(f"files[{number}]", data, filename=name, content_type="application/octet-stream")
        return await self._act("say", form)

    async def edit(self, message: Json, text: str) -> Json:
        """Edit a message of one's own."""
        return await self._act("edit", {"channel": message["channel_id"], "message": message["id"], "content": text})

    async def delete(self, message: Json) -> None:
        """Delete a message of one's own."""
        await self._act("delete", {"channel": message["channel_id"], "message": message["id"]})

    async def slash(self, *names: str, channel: str, **options: str) -> str:
        """Use a command: `slash("claude", "add", "user", channel=…, person="<id>")`. Returns the interaction's id."""
        given: list[Json] = [{"name": name, "type": 3, "value": value} for name, value in options.items()]
        for kind, name in enumerate(reversed(names[1:]), 1):
            given = [{"name": name, "type": kind, "options": given}]
        done = await self._act("slash", {"channel": channel, "name": names[0], "options": given})
        return str(done["interaction"])

    async def press(self, message: Json, label: str) -> str:
        """Press the button of that label (or custom_id). Raises LookupError when there is none."""
        for button in buttons(message):
            if label in {button.get("label"), button.get("custom_id")}:
                asked = {"channel": message["channel_id"], "message": message["id"], "custom_id": button["custom_id"]}
                return str((await self._act("press", asked))["interaction"])
        raise LookupError(f"no button {label!r} under {message['content'][:80]!r}")

    async def press_id(self, message: Json, custom_id: str) -> str:
        """Press something that may not be there: a forged button."""
        asked = {"channel": message["channel_id"], "message": message["id"], "custom_id": custom_id}
        return str((await self._act("press", asked))["interaction"])

    async def change_thread(self, thread: str, **change: bool) -> None:
        """`archived=True`, `locked=True`."""
        await self._act("thread", {"channel": thread, "change": change})

    async def delete_channel(self, channel: str) -> None:
        """Delete a thread or channel."""
        await self._act("delete_channel", {"channel": channel})

    async def leave(self) -> None:
        """Leave the server: from then on they can do nothing there."""
        await self._act("leave", {})

    async def _act(self, action: str, asked: Json | aiohttp.FormData) -> Json:
        address = f"{self._base}/people/v1/{self.name}/{action}"
        given: dict[str, Any] = {"data": asked} if isinstance(asked, aiohttp.FormData) else {"json": asked}
        async with self._http.post(address, headers={"X-Page-Token": self._token}, **given) as answer:
            body = await answer.json(content_type=None)
            if answer.status != 200:
                raise PersonError(f"{self.name} cannot {action}: {body}")
            return dict(body)

    async def fault(self, name: str, **asked: Any) -> None:
        """Break something: drop, invalidate, or fail (method, path, times, after, status)."""
        address = f"{self._base}/faults/v1/{name}"
        async with self._http.post(address, headers={"X-Page-Token": self._token}, json=asked) as answer:
            answer.raise_for_status()

    # --- what they see -----------------------------------------------------------------------------------------------

    def messages(self, channel: str) -> list[Json]:
        """What stands in a channel for this person, oldest first."""
        found = [one for one in self._messages.values() if one["channel_id"] == channel]
        return sorted(found, key=lambda one: int(one["id"]))

    def threads(self, parent: str) -> list[str]:
        """The threads of a channel, oldest first."""
        found = [one["id"] for one in self.channels.values() if one.get("parent_id") == parent]
        return sorted(found, key=int)

    def interaction(self, identity: str) -> str:
        """waiting, answered or failed."""
        return str(self._interactions.get(identity, {}).get("state", "waiting"))

    def answered_at(self, identity: str) -> float:
        """When the bot answered an interaction, by Discord's clock (seconds since the Unix epoch)."""
        return float(self._interactions[identity]["answered_at"])

    def answer_seconds(self, identity: str) -> float:
        """How long Discord waited for that answer."""
        return self.answered_at(identity) - float(self._interactions[identity]["at"])

    async def wait(self, holds: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:  # noqa: ASYNC109 - tells what was seen
        """Until `holds()` gives something; returns it. Raises TimeoutError telling `what` was waited for and what was seen."""
        with anyio.move_on_after(timeout):
            while True:
                changed = self._changed
                if found := holds():
                    return found
                await changed.wait()
        raise TimeoutError(f"{self.name} waited {timeout:.0f} s for {what}; the last messages:\n{self._last()}")

    async def wait_message(self, channel: str, fits: Callable[[Json], bool], what: str, timeout: float = 30.0) -> Json:  # noqa: ASYNC109 - as above
        """The first message of a channel that fits, there or coming."""
        return dict(
            await self.wait(lambda: next((one for one in self.messages(channel) if fits(one)), None), what, timeout)
        )

    async def wait_thread(self, parent: str, known: Sequence[str] = (), timeout: float = 30.0) -> str:  # noqa: ASYNC109 - as above
        """The next thread of a channel that is not among `known`."""
        return str(
            await self.wait(
                lambda: next((one for one in self.threads(parent) if one not in known), None), "a thread", timeout
            )
        )

    def _last(self) -> str:
        last = sorted(self._messages.values(), key=lambda one: int(one["id"]))[-_SHOWN_ON_TIMEOUT:]
        lines = [
            f"  [{one['author']['username']}] {one['content'][:160]!r} {[button['label'] for button in buttons(one)]}"
            for one in last
        ]
        return "\n".join(lines) or "  (none)"

    # --- the stream --------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Keep up to date for ever; connects again when the server comes back."""
        address = f"{self._base}/people/v1/stream?person={self.name}&token={self._token}"
        while True:
            try:
                async with self._http.ws_connect(address, max_msg_size=0, heartbeat=20) as ws:
                    async for received in ws:
                        self._take(json.loads(received.data))
            except (aiohttp.ClientError, OSError):
                pass
            await anyio.sleep(0.1)

    async def connected(self) -> None:
        """Returns when everything that is there was seen."""
        await self._connected.wait()

    def _take(self, event: Json) -> None:
        data: Json = event["d"]
        match event["t"]:
            case "SNAPSHOT":
                self.channels = {one["id"]: one for one in data["channels"]}
                self._messages = {one["id"]: one for one in data["messages"]}
                self._connected.set()
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE":
                self._messages[data["id"]] = data
            case "MESSAGE_DELETE":
                self._messages.pop(data["id"], None)
            case "THREAD_CREATE" | "THREAD_UPDATE" | "CHANNEL_UPDATE":
                self.channels[data["id"]] = data
            case "THREAD_DELETE" | "CHANNEL_DELETE":
                self.channels.pop(data["id"], None)
            case "INTERACTION":
                self._interactions[data["id"]] = data
            case _:
                pass
        self._changed.set()
        self._changed = anyio.Event()


class PersonError(Exception):
    """Raised when Discord does not let a person do something."""


def buttons(message: Json) -> list[Json]:
    """The buttons under a message."""
    rows: list[Json] = message.get("components") or []
    return [button for row in rows for button in row.get("components", [])]


@asynccontextmanager
async def open_people(info: Json) -> AsyncGenerator[dict[str, Person]]:
    """Everybody, by name, connected. `info`: what the local Discord announced."""
    # a connection that is kept would be one to a server that may have been killed since
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http, anyio.create_task_group() as tasks:
        people = {name: Person(name, info, http) for name in ("alice", "bob", "carol")}
        await _connect(people, tasks)
        yield people
        tasks.cancel_scope.cancel()


async def _connect(people: dict[str, Person], tasks: TaskGroup) -> None:
    for person in people.values():
        tasks.start_soon(person.follow)
    with anyio.fail_after(20):
        for person in people.values():
            await person.connected()
