"""The log beside the page: events as they are appended, read through the log's own subscription; the exact views as they change,
and a session as it was at any event. A server of its own.

Personal text is opened for one viewer only: what a person did for that person, what belongs to a session for who asked for it.
Everybody else sees that something is there. Who has the page's token may say who they are, as on the page itself.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import WSMsgType, web

from adapters.local.discord.door import Door
from adapters.local.standing import Views, set_fields, state_at
from engine.ports import EngineError, EventLog
from schema.envelope import Recorded
from schema.sealed import Sealed

Json = dict[str, Any]
Opener = Callable[[Sealed], Awaitable[str | None]]

_REMEMBERED = 5000
_BEGINNING = 1000
_IDS = ("message", "prompt", "discord_id")

log_line = structlog.get_logger(__name__)


class Panel:
    """`open_text`: None for a text that was erased. Rows of the last events are remembered, and who asked for which session."""

    def __init__(self, log: EventLog, open_text: Opener, door: Door) -> None:
        self._log = log
        self._open_text = open_text
        self._door = door
        self._rows: deque[Json] = deque(maxlen=_REMEMBERED)
        self._threads: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._viewers: set[asyncio.Queue[Json]] = set()
        self._views = Views()

    def routes(self) -> list[web.RouteDef]:
        """The one there is."""
        return [web.get("/panel/stream", self._stream)]

    async def follow(self) -> None:
        """Read the log from its beginning, for ever."""
        async for events in self._log.follow(after=0):
            rows = [self._row(event) for event in events]
            self._rows.extend(rows)
            moved = self._views.take(events)
            for queue in self._viewers:
                queue.put_nowait({"t": "EVENTS", "d": rows})
                if moved:
                    queue.put_nowait({"t": "VIEWS", "d": self._views.told(self._threads)})

    def _row(self, event: Recorded) -> Json:
        """What is shown of every event: nothing personal."""
        body = event.event
        session = _session(event) or str(getattr(body, "session", ""))
        kind = body.__struct_config__.tag
        if kind == "session.requested":
            self._owners[session] = str(getattr(body, "by", ""))
        if kind == "session.thread_opened":
            self._threads[session] = str(getattr(body, "thread", ""))
        return {
            "position": event.position,
            "at": event.at // 1000,
            "kind": kind,
            "stream": event.stream,
            "session": session,
            "thread": self._threads.get(session, getattr(body, "channel", "")),
            "actor": event.actor,
            "by": getattr(body, "by", ""),
            "cause": event.cause,
            "ids": [str(one) for name in _IDS if (one := getattr(body, name, ""))],
            "about": _about(body),
        }

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._door.refuse(request):
            return refusal
        viewer = request.query.get("person", "")
        ws = web.WebSocketResponse(heartbeat=20)
        await ws.prepare(request)
        queue: asyncio.Queue[Json] = asyncio.Queue()
        rows = list(self._rows)
        older = (rows[0]["position"] - 1 if rows else 0) + max(0, len(rows) - _BEGINNING)
        queue.put_nowait({"t": "BEGIN", "d": {"rows": rows[-_BEGINNING:], "older": older}})
        queue.put_nowait({"t": "VIEWS", "d": self._views.told(self._threads)})
        self._viewers.add(queue)
        sending = asyncio.ensure_future(_send(ws, queue))
        try:
            async for received in ws:
                if received.type is WSMsgType.TEXT:
                    asked = json.loads(received.data)
                    if "session" in asked:
                        queue.put_nowait({"t": "STATE", "d": await self._state(asked, viewer)})
                    else:
                        queue.put_nowait({"t": "FIELDS", "d": await self._fields(asked, viewer)})
        finally:
            self._viewers.discard(queue)
            sending.cancel()
        return ws

    async def _fields(self, asked: Any, viewer: str) -> Json:
        """Everything in one event, as far as this viewer may see it."""
        position = int(asked["position"])
        try:
            (event,) = await self._log.read([position])
            fields = await self._shown(event.event, may=self._may(event, viewer))
        except EngineError as error:
            return {"position": position, "failed": str(error)}
        assert isinstance(fields, dict)
        surround = {"version": event.version, "key": event.key, "hash": event.hash.hex()}
        return {"position": position, "fields": fields, "surround": surround}

    async def _state(self, asked: Any, viewer: str) -> Json:
        """A session as of a position, by the fold that runs live, as far as this viewer may see it."""
        session, position = str(asked["session"]), int(asked["position"])
        told = {"session": session, "position": position}
        try:
            found = await state_at(self._log, session, position)
        except EngineError as error:
            return told | {"failed": str(error)}
        if found is None:
            return told | {"phase": "", "fields": {}}
        state, last = found
        may = bool(viewer) and viewer == state.starter
        fields = {name: await self._shown(value, may=may) for name, value in set_fields(state).items()}
        return told | {"at": last.at // 1000, "phase": state.phase, "fields": fields}

    def _may(self, event: Recorded, viewer: str) -> bool:
        by = str(getattr(event.event, "by", "") or "")
        return bool(viewer) and viewer == (by or self._owners.get(_session(event), ""))

    async def _shown(self, value: Any, *, may: bool) -> Any:
        """As JSON; a sealed text as `{"sealed": …}`, with its text if it may be seen and was not erased."""
        match value:
            case msgspec.Struct():
                names = value.__struct_fields__
                tag = value.__struct_config__.tag
                kind = {"kind": tag} if tag else {}
                return kind | {name: await self._shown(getattr(value, name), may=may) for name in names}
            case bytes():
                size = {"bytes": len(value)}
                if not may:
                    return {"sealed": "hidden"} | size
                text = await self._open_text(Sealed(value))
                return ({"sealed": "erased"} if text is None else {"sealed": "open", "text": text}) | size
            case tuple() | list() | frozenset():
                ones: list[Any] = sorted(value) if isinstance(value, frozenset) else list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - of an event or a state
                return [await self._shown(one, may=may) for one in ones]
            case Mapping():
                return {str(name): await self._shown(one, may=may) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - of an event
            case _:
                return value


def _session(event: Recorded) -> str:
    kind, _, name = event.stream.partition(":")
    return name if kind == "session" else ""


def _about(body: Any) -> list[str]:
    """What joins events of one session: the card they show or change, the turn, the question, the prompt."""
    names = {"part": "", "turn": "turn:", "request": "ask:", "prompt": "queued:"}
    found = {name: str(getattr(body, name, "") or "") for name in names}
    return [names[name] + value for name, value in found.items() if value]


async def _send(ws: web.WebSocketResponse, queue: asyncio.Queue[Json]) -> None:
    while True:
        await ws.send_str(json.dumps(await queue.get()))
