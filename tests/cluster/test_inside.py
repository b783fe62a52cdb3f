"""Claude Code itself in a pod, behind the real gateway: what operators place there it uses, and the key is nowhere."""

import base64
import json
import shlex
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from adapters.claude import invocation, wire
from adapters.claude.agent import ClaudeAgent
from adapters.claude.channel import SupervisorChannel
from adapters.claude.environment import read_environment
from adapters.claude.gateway import tokens
from adapters.claude.gateway.app import Config, Gateway
from adapters.claude.gateway.reservations import Reservations
from adapters.kubernetes import manifests
from adapters.kubernetes.api import Api
from adapters.kubernetes.gate import Gate, Place
from adapters.kubernetes.playground import gateway_policy
from adapters.kubernetes.sandbox import CLI, KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from adapters.local.event_log import MemoryEventLog, MemoryStore
from adapters.local.model.server import Model
from adapters.parsers import Secret
from engine.ports import EventLog, SandboxSpec
from engine.session import Session
from schema import events as e
from schema.envelope import Append, Draft, Write
from schema.events import UsageCounted
from tests.clusters import BASE, find_cluster, open_namespace

pytestmark = [pytest.mark.cluster, pytest.mark.cli]

KEY, SECRET = f"made-up-{uuid.uuid4().hex}", b"made-up secret"
SESSION, RESERVATION = "1", "1-2"
SECONDS = 90
HOOK = "#!/bin/sh\necho the hook has spoken\ntouch /sandbox/work/the-hook-was-here\n"


async def append(log: EventLog, stream: str, event: e.Event) -> None:
    draft = Draft(event=event, at=1, actor="test")
    await log.append(Append(writes=(Write(stream=stream, expected=None, drafts=(draft,)),)))


async def unused(_session: str, _request: str, event: UsageCounted) -> None: ...


class Attached:
    """The context of an attached session that only records and listens."""

    epoch = 1

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.session = Session(id=SESSION, starter="7")
        self.reported: list[e.SessionEvent] = []
        self.ready = anyio.Event()

    async def report(self, event: e.SessionEvent) -> None:
        self.reported.append(event)
        await append(self._log, f"session:{SESSION}", event)
        if isinstance(event, e.SandboxReady):
            self.ready.set()
            await anyio.sleep_forever()


class Inside:
    """A pod with the real CLI in it; `bodies` is what the model was asked."""

    def __init__(
        self, sandbox: KubernetesSandbox, bodies: list[str], reported: list[e.SessionEvent], gateway: str
    ) -> None:
        self.bodies = bodies
        self.reported = reported
        self.gateway = gateway
        self.sandbox = sandbox
        self._channel = SupervisorChannel(sandbox, RESERVATION, 1)

    async def say(self, text: str) -> None:
        """One turn, to its end. What it asks for is allowed."""
        await self._channel.send("prompt", wire.user_message("p-1", text))
        async with aclosing(self._channel.follow(1, 0)) as lines:
            async for piece in lines:
                line: dict[str, Any] = json.loads(piece.line or b"{}")
                if line.get("type") == "control_request":
                    await self._channel.send(f"answer-{line['request_id']}", wire.allow(line["request_id"]))
                if line.get("type") == "result":
                    return

    async def run(self, script: str, reservation: str = RESERVATION) -> bytes:
        async with self.sandbox.exec(reservation, ["sh", "-c", script]) as process:
            return b"".join([chunk async for chunk in process])


def configured(folder: Path) -> Path:
    """What an operator could place."""
    settings = {
        "hooks": {"UserPromptSubmit": [{"hooks": [{"type": "command", "command": "$HOME/.claude/hooks/a.sh"}]}]}
    }
    for name, text in {
        "CLAUDE.md": "Always mention the orchid.",
        "commands/greet.md": "Greet $ARGUMENTS warmly.",
        "hooks/a.sh": HOOK,
        "settings.json": json.dumps(settings),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "hooks/a.sh").chmod(0o755)
    return folder


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncGenerator[Inside]:
    cluster = find_cluster()
    bodies: list[str] = []

    @web.middleware
    async def keep(request: web.Request, handler: Any) -> web.StreamResponse:
        bodies.append((await request.read()).decode())
        return await handler(request)

    async with AsyncExitStack() as stack:
        api, namespace = await stack.enter_async_context(open_namespace(cluster))
        here = api.own_address()
        app = Model(tmp_path / "model", KEY).app()
        app.middlewares.append(keep)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        config = Config(upstream=f"http://127.0.0.1:{runner.addresses[0][1]}", key=Secret(KEY), secret=SECRET)
        log = MemoryEventLog(MemoryStore())
        await append(log, "slots", e.Granted(session=SESSION, reservation=RESERVATION))
        policy = Reservations(log, check_address=True)
        port = await stack.enter_async_context(Gateway(config, policy, unused).serve(0, here))
        sandbox = await walled(api, namespace, cluster.image, here, port)
        settings = invocation.CliSettings(
            cli=CLI,
            base_url=f"http://{here}:{port}",
            isolated=True,
            files=read_environment(configured(tmp_path / "config")).archive,
        )
        attached: Any = Attached(log)
        keyring: Any = None  # nothing is sealed before the journal is read
        agent = ClaudeAgent(sandbox, keyring, settings, partial(tokens.make, SECRET))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(agent.attach, RESERVATION, attached)
        with anyio.fail_after(SECONDS):
            await attached.ready.wait()
            yield Inside(sandbox, bodies, attached.reported, settings.base_url)
        tasks.cancel_scope.cancel()


async def walled(api: Api, namespace: str, image: str, here: str, port: int) -> KubernetesSandbox:
    """Sandboxes that must pass the gate, and reach this machine at `port` only."""
    await manifests.apply(api, gateway_policy(namespace, here, port))
    server = Place(wall="api", host=api.server[0], port=api.server[1])
    gate = Gate([server], [Place(wall="gateway", host=here, port=port)], enforce=True)
    installation = str(uuid.uuid4())
    fields = Fields(installation=installation, namespace=namespace, image=image)
    return KubernetesSandbox(api, namespace, installation, Template(BASE / "sandbox-pod.yaml", fields), gate)


async def test_claude_in_a_pod_knows_its_instructions_its_commands_and_its_hooks(inside: Inside) -> None:
    probed, placed, ready = inside.reported
    assert isinstance(probed, e.SandboxProbed)
    assert isinstance(placed, e.SandboxPlaced)
    assert ready == e.SandboxReady(reservation=RESERVATION, isolated=True)
    await inside.say("/greet Ada")
    asked = inside.bodies[-1]
    assert "Always mention the orchid." in asked
    assert "Greet Ada warmly." in asked
    assert "the hook has spoken" in asked
    assert b"the-hook-was-here" in await inside.run("ls /sandbox/work")


READABLE = """
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/task/*/comm 2>/dev/null
find / -xdev -type f -size -2000k -readable -print0 2>/dev/null | xargs -0 cat 2>/dev/null
find /sandbox /tmp /etc /run /var /root /home /dev/shm -type f -readable -print0 2>/dev/null | xargs -0 cat 2>/dev/null
"""


async def test_the_key_is_nowhere_in_a_pod_that_has_worked(inside: Inside) -> None:
    step = {"tool": "Bash", "input": {"command": "env; cat /proc/$PPID/environ; id", "description": "look"}}
    await inside.say(f"SCRIPT: {json.dumps([step, {'text': 'done'}])} END")
    assert len(inside.bodies) >= 2, "it went through the gateway, with the key"
    everything = await inside.run(READABLE)
    token = tokens.make(SECRET, SESSION, RESERVATION).encode()
    assert token in everything, "it looks where secrets would be"
    for secret in (KEY.encode(), base64.b64encode(KEY.encode()), SECRET, base64.b64encode(SECRET)):
        assert secret not in everything
        assert secret.decode() not in "".join(inside.bodies)


ASKS = """
import json, sys, urllib.error, urllib.request
url, token = sys.argv[1:]
body = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}
headers = {"content-type": "application/json", "authorization": "Bearer " + token}
try:
    with urllib.request.urlopen(urllib.request.Request(url + "/v1/messages", json.dumps(body).encode(), headers)) as answer:
        print(answer.status)
except urllib.error.HTTPError as error:
    print(error.status, json.load(error)["error"]["message"])
"""


async def test_a_token_is_good_from_its_own_pod_only(inside: Inside) -> None:
    config = json.dumps({"argv": ["/bin/cat"], "session": str(uuid.uuid4()), "stop_seconds": 1}).encode()
    await inside.sandbox.start(SandboxSpec(reservation="3-4", session="3", config=config))
    token = tokens.make(SECRET, SESSION, RESERVATION)
    ask = f"python3 -I -c {shlex.quote(ASKS)} {inside.gateway} {token}"
    assert await inside.run(ask) == b"200\n"
    asked = len(inside.bodies)
    said = "403 gateway: this session token is not (any more) good for anything, or not from here\n"
    assert (await inside.run(ask, "3-4")).decode() == said
    assert len(inside.bodies) == asked
