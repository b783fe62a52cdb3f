"""The HTTP port for whoever runs us: `/healthz`, `/readyz`, `/metrics`. It tells nothing about people or texts.

`/healthz` answers as long as the process does. `/readyz` says what is missing, with status 503: a process that is not ready is
not to be killed, for it waits and goes on by itself.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CHECK_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]
"""Returns when a part is there; whatever it raises says that it is not."""


class Probes:
    """What the port tells. `refresh` is called before the metrics are read; it raises nothing."""

    def __init__(self, checks: Mapping[str, Check], registry: CollectorRegistry, refresh: Check) -> None:
        self._checks = checks
        self._registry = registry
        self._refresh = refresh

    @asynccontextmanager
    async def serve(self, port: int, host: str | None = None) -> AsyncGenerator[int]:
        """Listen (0: any free port) for as long as the context is open; gives the port. `host`: every address, unless given."""
        app = web.Application()
        app.add_routes(
            [web.get("/healthz", _alive), web.get("/readyz", self._ready), web.get("/metrics", self._metrics)]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield runner.addresses[0][1]
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    async def _ready(self, _: web.Request) -> web.Response:
        said: dict[str, str] = {}
        async with anyio.create_task_group() as tasks:
            for name, check in self._checks.items():
                tasks.start_soon(_look, name, check, said)
        status = 200 if all(word == "ok" for word in said.values()) else 503
        return web.json_response({name: said[name] for name in self._checks}, status=status)

    async def _metrics(self, _: web.Request) -> web.Response:
        with anyio.move_on_after(CHECK_SECONDS):
            await self._refresh()
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _look(name: str, check: Check, said: dict[str, str]) -> None:
    said[name] = f"no answer in {CHECK_SECONDS:g} s"
    with anyio.move_on_after(CHECK_SECONDS):
        try:
            await check()
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not there
            said[name] = f"{type(error).__name__}: {error}"[:200]
        else:
            said[name] = "ok"
