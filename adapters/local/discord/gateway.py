"""The gateway, v10: HELLO, IDENTIFY, heartbeats, RESUME with replay, zlib-stream (`notes/discord.md` §6)."""

import asyncio
import json
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

from adapters.local.discord import shapes
from adapters.local.discord.shapes import Json
from adapters.local.discord.store import Store

_HEARTBEAT_MS = 41250
_REPLAYED = 2000
_MESSAGES = 1 << 9
_MESSAGE_CONTENT = 1 << 15
_SECRETIVE = ("MESSAGE_CREATE", "MESSAGE_UPDATE")


class Socket:
    """One connection: frames are binary and share one zlib stream, each ending with a sync flush."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport | None, compress: str | None) -> None:
        self.ws = ws
        self._transport = transport
        self._zlib = zlib.compressobj() if compress == "zlib-stream" else None

    def abort(self) -> None:
        """Cut it without a word."""
        if self._transport:
            self._transport.abort()

    async def send(self, frame: Json) -> None:
        data = json.dumps(frame).encode()
        try:
            if self._zlib:
                await self.ws.send_bytes(self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH))
            else:
                await self.ws.send_str(data.decode())
        except (ConnectionError, RuntimeError):  # it is gone: the session keeps what it missed
            return


class Session:
    """What a bot can RESUME while this process lives."""

    def __init__(self, identity: str, intents: int) -> None:
        self.id = identity
        self.intents = intents
        self.sequence = 0
        self.sent: deque[Json] = deque(maxlen=_REPLAYED)
        self.socket: Socket | None = None

    async def dispatch(self, name: str, data: Json) -> None:
        """Send an event, and remember it for a RESUME."""
        if name.startswith("MESSAGE_") and not self.intents & _MESSAGES:
            return
        if name in _SECRETIVE and not self.intents & _MESSAGE_CONTENT:
            data = data | {"content": "", "attachments": [], "embeds": [], "components": []}
        self.sequence += 1
        frame = {"op": 0, "t": name, "s": self.sequence, "d": data}
        self.sent.append(frame)
        if self.socket:
            await self.socket.send(frame)


class Gateway:
    """Every bot connection. `address` is known once the server listens."""

    def __init__(self, store: Store, guild: Callable[[], Json]) -> None:
        self._store = store
        self._guild = guild
        self._sessions: dict[str, Session] = {}
        self.address = ""

    async def dispatch(self, name: str, data: Json) -> None:
        """Send an event to every bot session."""
        for session in list(self._sessions.values()):
            await session.dispatch(name, data)

    async def drop(self) -> None:
        """Cut every connection without a word."""
        for session in self._sessions.values():
            if session.socket:
                session.socket.abort()

    async def invalidate(self) -> None:
        """Forget every session: the next RESUME is refused, and events until then are lost to it."""
        await self.drop()
        self._sessions.clear()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One connection, until it ends."""
        ws = web.WebSocketResponse(max_msg_size=1 << 20)
        await ws.prepare(request)
        socket = Socket(ws, request.transport, request.query.get("compress"))
        await socket.send({"op": 10, "d": {"heartbeat_interval": _HEARTBEAT_MS}, "s": None, "t": None})
        session: Session | None = None
        async for received in ws:
            if received.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                continue
            frame: Json = json.loads(received.data)
            match frame.get("op"):
                case 1:
                    await socket.send({"op": 11, "d": None, "s": None, "t": None})
                case 2:
                    session = await self._identify(socket, frame["d"])
                case 6:
                    session = await self._resume(socket, frame["d"])
                case _:
                    pass
        if session and session.socket is socket:
            session.socket = None
            if ws.close_code in {1000, 1001}:
                self._sessions.pop(session.id, None)
        return ws

    async def _identify(self, socket: Socket, asked: Json) -> Session | None:
        if asked.get("token") != self._store.world["token"]:
            await socket.ws.close(code=4004, message=b"Authentication failed.")
            return None
        session = Session(f"local{shapes.snowflake()}", int(asked.get("intents", 0)))
        session.socket = socket
        self._sessions[session.id] = session
        await session.dispatch("READY", self._ready(session, asked))
        await session.dispatch("GUILD_CREATE", self._guild())
        return session

    async def _resume(self, socket: Socket, asked: Json) -> Session | None:
        session = self._sessions.get(asked.get("session_id", ""))
        if session is None or asked.get("seq", 0) > session.sequence:
            await socket.send({"op": 9, "d": False, "s": None, "t": None})
            return None
        session.socket = socket
        for frame in list(session.sent):
            if frame["s"] > asked["seq"]:
                await socket.send(frame)
        await session.dispatch("RESUMED", {"_trace": []})
        return session

    def _ready(self, session: Session, asked: Json) -> Json:
        world = self._store.world
        ready: dict[str, Any] = {
            "v": 10,
            "user_settings": {},
            "user": shapes.own_user(world["application"], "claude"),
            "session_type": "normal",
            "session_id": session.id,
            "resume_gateway_url": self.address,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": [{"id": world["guild"], "unavailable": True}],
            "application": {"id": world["application"], "flags": 565248},
            "shard": asked.get("shard", [0, 1]),
            "_trace": [],
        }
        return ready
