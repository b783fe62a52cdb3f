"""Sessions as they are in a log after a while, written into it by hand: what took weeks is there in seconds."""

from collections.abc import Iterator, Mapping, Sequence

from adapters.postgres.connect import Connection
from schema import events as e
from schema import facts as f
from schema.codec import encode
from schema.hashing import FIRST, event_hash
from schema.sealed import Sealed

TEXT = "a short text that people or Claude wrote, in some language, about as long as most of them are. " * 3
_MESSAGE = "123456789012345678"
_COLUMNS = ["position", "stream", "version", "kind", "payload", "key_id", "hash", "at", "actor", "cause", "key"]


def opening(thread: str) -> Sequence[e.Event]:
    """Eight events: from the command to a Claude that waits, in a thread."""
    return [
        e.Requested(by="7", locale="ja", guild="1", channel="2"),
        e.StarterPosted(message=thread),
        e.ThreadOpened(thread=thread),
        e.SlotAsked(place=1),
        e.SandboxReserved(reservation="r"),
        e.SandboxReady(reservation="r"),
        e.JournalRead(epoch=1, start=0, end=999, facts=(f.CliStarted(),)),
        e.MessageShown(part="head", index=0, message=_MESSAGE, rev=99),
    ]


def turn(number: int, box: Sealed) -> Sequence[e.Event]:
    """Ten events: a prompt, what Claude did about it, and how it was shown."""
    prompt = str(number)
    facts = [
        f.PromptStarted(prompt=prompt),
        f.ToolCalled(tool="toolu_01", name="Bash", summary=box),
        f.ToolReturned(tool="toolu_01", failed=False, output=box),
        f.Said(text=box),
    ]
    journal = [
        e.JournalRead(epoch=1, start=number * 4000 + step * 1000, end=number * 4000 + step * 1000 + 999, facts=(fact,))
        for step, fact in enumerate(facts)
    ]
    return [
        e.PromptQueued(prompt=prompt, by="7", text=box, size=296),
        e.PromptSent(prompt=prompt),
        e.Delivered(item=f"prompt:{prompt}", life=1),
        e.TurnStarted(turn=number, prompt=prompt, by="7"),
        *journal,
        e.TurnEnded(turn=number, outcome="completed"),
        e.MessageShown(part=f"turn:{number}", index=0, message=_MESSAGE, rev=99, final=True),
    ]


def loss() -> Sequence[e.Event]:
    """Two events: the sandbox is lost, which people have not been told yet."""
    return [e.SandboxLost(reservation="r", why="gone"), e.SandboxGone(reservation="r")]


async def fill(connection: Connection, sessions: Mapping[str, Sequence[e.Event]]) -> None:
    """These streams, equally long, which were written in turn, into an empty log."""
    await connection.execute("insert into streams (name) select unnest($1::text [])", list(sessions))
    ids = dict(await connection.fetch("select name, id from streams"))
    await connection.copy_records_to_table("events", records=_rows(sessions, ids), columns=_COLUMNS)
    await connection.execute("update log_head set position = (select max(position) from events)")
    await connection.execute("vacuum analyze events")


def _rows(sessions: Mapping[str, Sequence[e.Event]], ids: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    position, hashes = 0, dict.fromkeys(sessions, FIRST)
    for version, events in enumerate(zip(*sessions.values(), strict=True), start=1):
        at = 1_790_000_000_000_000 + version
        for stream, event in zip(sessions, events, strict=True):
            position += 1
            kind, payload, key_id = encode(event)
            hash_ = event_hash(hashes[stream], stream, version, kind, payload, key_id, at, "bot", 0, None)
            hashes[stream] = hash_
            yield (position, ids[stream], version, kind, payload, key_id, hash_, at, "bot", 0, None)
