"""The slow and exact way to append: decide one by one, on what the database holds while the head is locked.

Needed when something in a batch is refused, or may be: the one statement of a batch only says that, not what.
"""

from collections.abc import Iterable, Sequence

from adapters.admission import Facts
from adapters.postgres.batch import Batch, Head, Pending
from adapters.postgres.connect import Connection
from engine.ports import EngineError
from schema.hashing import FIRST

LOCK_HEAD = "select position from log_head for update"
_STREAMS = "select name, id, version, hash from log_streams($1)"
_EPOCHS = "select target, epoch from leases where target = any($1::text [])"
_KEYS = "select key, position from events where key = any($1::text [])"
_WORK = """
select w.target, w.position, w.due from unnest($1::text [], $2::bigint []) as g (target, position)
inner join work as w on w.target = g.target and w.position = g.position
"""


class Verdict:
    """What became of each append; `batch` holds those that were not refused."""

    def __init__(self) -> None:
        self.batch = Batch({})
        self.refused: list[tuple[Pending, EngineError]] = []


async def decide(connection: Connection, pendings: Sequence[Pending], verdict: Verdict) -> None:
    """Fill `verdict`, in the caller's transaction, which holds the head's lock from here on."""
    position = await connection.fetchval(LOCK_HEAD)
    verdict.batch = Batch(
        await read_heads(connection, {stream for pending in pendings for stream in pending.streams()})
    )
    facts = await _facts(connection, pendings, verdict.batch.heads)
    for pending in pendings:
        if refusal := facts.refusal(pending.append):
            verdict.refused.append((pending, refusal))
        else:
            facts.apply(pending.append, position + len(verdict.batch.rows) + 1)
            verdict.batch.add(pending)


async def read_heads(connection: Connection, streams: Iterable[str]) -> dict[str, Head]:
    """The ends of `streams`; those the database does not know yet get their ids."""
    rows = await connection.fetch(_STREAMS, list(streams))
    return {name: (number, version, hash_ or FIRST) for name, number, version, hash_ in rows}


async def _facts(connection: Connection, pendings: Sequence[Pending], heads: dict[str, Head]) -> Facts:
    leases = {target for pending in pendings for target, _ in pending.append.leases}
    keys = [draft.key for pending in pendings for _, draft in pending.drafts() if draft.key is not None]
    settles = [work for pending in pendings for work in pending.append.settles]
    work = await connection.fetch(_WORK, [target for target, _ in settles], [position for _, position in settles])
    return Facts(
        versions={stream: version for stream, (_, version, _) in heads.items()},
        epochs=dict(await connection.fetch(_EPOCHS, list(leases))),
        keys=dict(await connection.fetch(_KEYS, keys)),
        work={(target, position): due for target, position, due in work},
    )
