"""A conversation on a real cluster in which, in the middle of every turn, something between the bot and its sandbox goes away.

All connections to the cluster are cut (with an end, with an error, with silence), kubelet, API server, containerd and the database
are killed and started again, and the bot stands still until another has taken over. What the bot does not notice shows nothing, so
each outage but the database's lasts until the log tells of a failure, or of another's work. Then the books are balanced: each
prompt once in the log, given and answered once, no turn cut, and every line of the journal folded once and in order.

`DRILL_ROUNDS` times each; the seed tells in which order, but for the last: from then on there are two bots.
"""

import json
import os
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest
import yaml

from adapters.claude.parse import parse
from adapters.kubernetes.api import connect
from adapters.kubernetes.playground import NAMESPACE
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from adapters.local.discord.people import buttons
from adapters.local.services import Service
from adapters.playground import DATABASE
from adapters.postgres.event_log import PostgresEventLog, open_log
from schema import events as e
from schema import facts as f
from schema.envelope import Recorded
from schema.sealed import Sealed
from tests.cluster.playing import Play, close, open_play
from tests.clusters import BASE, Cluster, find_cluster
from tests.links import Link, open_link

pytestmark = [pytest.mark.cluster, pytest.mark.cli]

ROUNDS = int(os.environ.get("DRILL_ROUNDS") or 1)
SEED = int(os.environ.get("DRILL_SEED") or random.randrange(1_000_000))
CUTS = ("fin", "rst", "silence")
PARTS = ("kubelet", "kube-apiserver", "containerd")
SECONDS = 90
WORDS = 80  # so many that a busy machine is still in the middle of them
_LOOK_SECONDS = 0.2

Message = dict[str, Any]


class Outages:
    """One session, its bots, and what was said in it."""

    def __init__(self, play: Play, log: PostgresEventLog, link: Link, cluster: Cluster, thread: str) -> None:
        self.prompts: list[str] = []
        self._play = play
        self._log = log
        self._link = link
        self._cluster = cluster
        self._thread = thread

    async def events(self) -> list[Recorded]:
        """The session's, there is one."""
        (asked,) = [one.event for one in await self._log.read_stream("slots") if isinstance(one.event, e.Asked)]
        return list(await self._log.read_stream(f"session:{asked.session}"))

    async def turn(self, outage: str) -> None:
        """Something is said; while it is answered, there is an outage; it is answered all the same."""
        mark = await self._ask(outage)
        if outage in CUTS:
            failures = await self._failures()
            assert self._link.cut(outage) > 0  # pyright: ignore[reportArgumentType] - one of CUTS
            await self._fails(failures)
        elif outage == "database":
            self._play.playground.postgres.kill()
        elif outage in PARTS:
            await self._kill(outage)
        await self._answered(mark)

    async def _ask(self, outage: str) -> str:
        """Until Claude is in the middle of an answer; returns what stands at its end."""
        mark = f"{len(self.prompts)}-{outage}"
        print(f"{anyio.current_time():.0f} s: {mark}")
        # the prompt is shown while it waits: it must not look like its answer
        step = {"text": f"{'word ' * WORDS}answer <{mark}>. ", "chunk": 8, "tick": 0.1}
        script = json.dumps([step]).replace("answer <", "\\u0061nswer <")
        said = await self._play.alice.say(self._thread, f"SCRIPT: {script} END")
        self.prompts.append(mark)

        def begun(one: Message) -> bool:
            return bool(one["author"].get("bot")) and _works(one) and "word" in one["content"]

        await self._play.alice.wait_message(
            self._thread, lambda one: int(one["id"]) > int(said["id"]) and begun(one), "Claude at work", SECONDS
        )
        return mark

    async def _answered(self, mark: str) -> None:
        def over(one: Message) -> bool:
            return bool(one["author"].get("bot")) and f"answer <{mark}>" in one["content"] and not _works(one)

        await self._play.alice.wait_message(self._thread, over, f"the answer {mark}", SECONDS)

    async def _kill(self, part: str) -> None:
        assert self._cluster.testcluster
        program, failures = str(self._cluster.testcluster), await self._failures()
        with anyio.CancelScope(shield=True):
            await anyio.run_process([program, "kill", part])
            while f"{part} not running" not in " ".join((await _output(program, "status")).split()):
                pass
        try:
            await self._fails(failures)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.run_process([program, "start", part])

    async def _failures(self) -> int:
        return len([one for one in await self.events() if isinstance(one.event, e.EffectFailed)])

    async def _fails(self, before: int) -> None:
        """Until the session's log tells of one more failure than `before`."""
        with anyio.fail_after(SECONDS):
            while await self._failures() <= before:  # noqa: ASYNC110 - see below
                await anyio.sleep(_LOOK_SECONDS)  # another process writes it

    @asynccontextmanager
    async def frozen(self, folder: Path) -> AsyncGenerator[None]:
        """In the middle of a turn the bot stands still, and is cut off from its leases; another bot goes on. Then it wakes up."""
        bot = self._play.playground.services["bot"]
        arguments, environment = bot._arguments, bot._environment  # pyright: ignore[reportPrivateUsage] - one like it
        other = Service("bot-2", folder, arguments, environment)
        mark = await self._ask("frozen")
        os.kill(bot.pid, signal.SIGSTOP)
        try:
            await self._end_leases()
            await other.start()
            await self._answered(mark)
            os.kill(bot.pid, signal.SIGCONT)
            yield
        finally:
            os.kill(bot.pid, signal.SIGCONT)
            await other.end()

    async def _end_leases(self) -> None:
        """As a network does that loses the connection of a process that does not answer."""
        connection = await asyncpg.connect(self._play.playground.postgres.dsn(DATABASE), timeout=10)
        try:
            await connection.execute(
                "select pg_terminate_backend(pid, 2000) from pg_locks where locktype = 'advisory' and granted"
            )
        finally:
            await connection.close()

    # --- the books ---------------------------------------------------------------------------------------------------

    async def balance(self) -> None:
        """Nothing of the conversation is lost or doubled: in the log, in the journal, in the thread."""
        events = [one.event for one in await self.events()]
        queued = [one.prompt for one in events if isinstance(one, e.PromptQueued)]
        assert len(set(queued)) == len(queued) == len(self.prompts)
        assert [one.prompt for one in events if isinstance(one, e.PromptSent)] == queued
        assert [one.prompt for one in events if isinstance(one, e.TurnStarted)] == queued
        assert [one.outcome for one in events if isinstance(one, e.TurnEnded)] == ["completed"] * len(queued)
        assert not [one for one in events if isinstance(one, e.TurnCut | e.SandboxLost)]
        shown = "\n".join(one["content"] for one in self._play.alice.messages(self._thread) if one["author"].get("bot"))
        assert [shown.count(f"answer <{mark}>") for mark in self.prompts] == [1] * len(queued)
        assert shown.count("word ") == WORDS * len(queued)
        await self._balance_journal()

    async def _balance_journal(self) -> None:
        """What was folded is what a second reading of the whole journal gives; the tail of the last turn may be on its way."""
        expected = await self._journal()
        with anyio.fail_after(SECONDS):
            while True:
                reads = [one.event for one in await self.events() if isinstance(one.event, e.JournalRead)]
                folded = [type(fact) for read in reads for fact in read.facts]
                if len(folded) >= len(expected):
                    break
                await anyio.sleep(_LOOK_SECONDS)  # another process writes it
        assert folded == expected
        end = (0, 0)
        for read in reads:
            assert (read.epoch, read.start) == (end if read.epoch == end[0] else (end[0] + 1, 0))
            end = read.epoch, read.end

    async def _journal(self) -> "list[type[f.Fact]]":
        (granted,) = [one.event for one in await self._log.read_stream("slots") if isinstance(one.event, e.Granted)]
        fields = Fields(installation=await self._log.installation(), namespace=NAMESPACE)
        sandbox = KubernetesSandbox(
            self._play.api, NAMESPACE, fields.installation, Template(BASE / "sandbox-pod.yaml", fields)
        )
        async with sandbox.exec(granted.reservation, ["sh", "-c", "cat /sandbox/state/journal/*.jsonl"]) as process:
            lines = b"".join([chunk async for chunk in process]).splitlines()
        return [type(fact) for line in lines for fact in parse(line, lambda text: Sealed(text.encode()))]


async def _output(*words: str) -> str:
    return (await anyio.run_process(words)).stdout.decode()


def _works(message: Message) -> bool:
    return any(button.get("label") == "Stop" for button in buttons(message))


@asynccontextmanager
async def _behind_a_link(cluster: Cluster, folder: Path) -> AsyncGenerator[tuple[Link, Path]]:
    """The cluster as it is reached over a link; its certificate does not name the address at which that listens."""
    async with connect(cluster.kubeconfig) as api:
        here, (host, port) = api.own_address(), api.server
    async with open_link(host, port, at=here) as (link, at):
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        for one in config["clusters"]:
            one["cluster"] = {"server": f"https://{here}:{at}", "insecure-skip-tls-verify": True}
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        yield link, file


@pytest.mark.timeout(SECONDS * (8 * ROUNDS + 2))
async def test_no_outage_loses_or_doubles_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print(f"DRILL_SEED={SEED} DRILL_ROUNDS={ROUNDS}")
    cluster, chance = find_cluster(), random.Random(SEED)
    kinds = [*CUTS, "database", *(PARTS if cluster.testcluster else ())]
    async with (
        _behind_a_link(cluster, tmp_path) as (link, kubeconfig),
        open_play(cluster, tmp_path, monkeypatch, slots=1, kubeconfig=kubeconfig) as play,
    ):
        await play.alice.slash("claude", "start", channel=play.channel)
        thread = await play.alice.wait_thread(play.channel)
        async with open_log(play.playground.postgres.dsn(DATABASE), replica=False) as log:
            outages = Outages(play, log, link, cluster, thread)
            for _ in range(ROUNDS):
                for kind in chance.sample(kinds, len(kinds)):
                    await outages.turn(kind)
            async with outages.frozen(tmp_path / "bot-2"):
                await outages.turn("none")
            await outages.balance()
        await close(play.alice, thread, SECONDS)
        await play.balance(1)
