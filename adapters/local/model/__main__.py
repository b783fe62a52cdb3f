"""`python -m adapters.local.model --state DIR --port N [--host H] [--key-file FILE]`: says where it listens, then serves."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from aiohttp import web

from adapters.local.model.server import Model

_END_SECONDS = 1.0


async def serve(state: Path, host: str, port: int, key: str | None) -> None:
    """Serve until told to end."""
    app = Model(state, key).app()
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_END_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    sys.stdout.write(json.dumps({"port": runner.addresses[0][1]}) + "\n")
    sys.stdout.flush()
    await ended.wait()
    await runner.cleanup()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="adapters.local.model", description="The scripted Messages API")
    parser.add_argument("--state", type=Path, required=True, help="folder of its log")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--key-file", type=Path, help="the key that requests must carry; without, any will do")
    given = parser.parse_args()
    key = given.key_file.read_text().strip() if given.key_file else None
    asyncio.run(serve(given.state, given.host, given.port, key))


if __name__ == "__main__":
    main()
