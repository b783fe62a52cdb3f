"""`python -m adapters.local.discord --state DIR --port N [--host H] [--about FILE] [--panel P] [--bodies]`: announces itself,
serves.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from aiohttp import web

from adapters.local.discord.people_api import PeopleApi
from adapters.local.discord.rest import PREFIX, Rest
from adapters.local.discord.server import Server
from adapters.local.discord.shapes import Json
from adapters.local.discord.store import Store

_LARGEST_REQUEST = 64 << 20


async def serve(state: Path, host: str, port: int, about: list[str], panel: int, *, bodies: bool = False) -> None:
    """Serve until told to end."""
    store = Store(state)
    server = Server(store)
    rest = Rest(server, state / "requests.jsonl", bodies=state / "bodies.jsonl" if bodies else None)
    app = web.Application(client_max_size=_LARGEST_REQUEST, middlewares=[rest.middleware])
    app.add_routes([web.get("/gateway", server.gateway.serve), web.get("/gateway/", server.gateway.serve)])
    app.add_routes([*rest.routes(), *PeopleApi(server, rest, about, host=host, panel=panel).routes()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    info = _announce(server, host, int(runner.addresses[0][1]))
    path = state / "discord.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(info))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    sys.stdout.write(json.dumps(info) + "\n")
    sys.stdout.flush()
    await ended.wait()
    await runner.cleanup()
    server.close()


def _announce(server: Server, host: str, port: int) -> Json:
    world, base = server.store.world, f"http://{host}:{port}"
    server.gateway.address = f"ws://{host}:{port}/gateway"
    server.files_url = f"{base}/attachments"
    return {
        "port": port,
        "rest_url": base + PREFIX,
        "token": world["token"],
        "application_id": world["application"],
        "guild_id": world["guild"],
        "channel_id": world["general"],
        "people": {name: one["id"] for name, one in world["people"].items()},
        "page": f"{base}/?token={world['page_token']}",
    }


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="adapters.local.discord", description="A Discord for one machine")
    parser.add_argument("--state", type=Path, required=True, help="folder of everything it remembers")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--about", type=Path, help="JSON list of lines: what is real here")
    parser.add_argument("--panel", type=int, default=0, help="port of the log panel, for the page")
    parser.add_argument("--bodies", action="store_true", help="keep what the bot sends and is answered in bodies.jsonl")
    given = parser.parse_args()
    about: list[str] = json.loads(given.about.read_text(encoding="utf-8")) if given.about else []
    asyncio.run(serve(given.state, given.host, given.port, about, given.panel, bodies=given.bodies))


if __name__ == "__main__":
    main()
