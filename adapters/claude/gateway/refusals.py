"""What sandboxes were not let out to, on its way into the log and so to their threads.

It promises that a host is told once a session, however often it is tried, and at most a few of them: a sandbox can try any
number. What cannot be recorded stands in the gateway's own log lines only.
"""

import re
from collections.abc import Callable

import structlog

from engine.mail import recipient
from engine.ports import Duplicate, EngineError, EventLog
from schema.envelope import Append, Draft, Write
from schema.events import EgressRefused

log_line = structlog.get_logger(__name__)

MOST = 10
"""Hosts of one session that are told."""


_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,260}")


class Refusals:
    """`now`: the time, in µs."""

    def __init__(self, log: EventLog, now: Callable[[], int]) -> None:
        self._log = log
        self._now = now
        self._told: dict[str, set[str]] = {}

    async def record(self, session: str, reservation: str, host: str) -> None:
        """Record that this session was not connected to `host`, unless that was told. Never raises."""
        told = self._told.setdefault(session, set())
        if host in told or len(told) >= MOST:
            return
        told.add(host)
        try:
            await self._append(session, reservation, host)
        except Duplicate:
            return
        except EngineError as error:
            told.discard(host)
            log_line.warning("a refusal was not recorded", session=session, error=str(error))

    async def _append(self, session: str, reservation: str, host: str) -> None:
        if not _NAME.fullmatch(host):  # somebody's text could stand there
            host = "?"
        event = EgressRefused(session=session, reservation=reservation, host=host)
        draft = Draft(event=event, at=self._now(), actor="gateway", key=f"e:{session} {host}", to=recipient(event))
        await self._log.append(Append(writes=(Write(stream=f"egress:{session}", expected=None, drafts=(draft,)),)))
