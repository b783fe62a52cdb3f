"""What sandboxes were not let out to, on its way into the log and so to their threads.

It promises that a host is told once a session, however often it is tried, and at most a few of them: a sandbox can try any
number. What cannot be recorded stands in the gateway's own log lines only. The name is what somebody in a sandbox wrote: it is
sealed for whoever asked for what runs there.
"""

import hashlib
import hmac
from collections.abc import Callable

import structlog

from engine import evolve
from engine.mail import recipient
from engine.ports import Duplicate, EngineError, EventLog, Keyring
from engine.session import Session
from schema.envelope import Append, Draft, Write
from schema.events import EgressRefused

log_line = structlog.get_logger(__name__)

MOST = 10
"""Hosts of one session that are told."""


class Refusals:
    """`secret` hides names in the keys by which each is recorded once. `now`: the time, in µs."""

    def __init__(self, log: EventLog, keyring: Keyring, secret: bytes, now: Callable[[], int]) -> None:
        self._log = log
        self._keyring = keyring
        self._secret = secret
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
        state = evolve.fold(await self._log.read_stream(f"session:{session}"), Session())
        person = state.turn.by if state.turn else state.starter
        key = await self._keyring.prepare(f"session:{session}", person)
        event = EgressRefused(session=session, reservation=reservation, host=self._keyring.seal(key, host))
        digest = hmac.digest(self._secret, f"{session} {host}".encode(), hashlib.sha256).hex()
        draft = Draft(event=event, at=self._now(), actor="gateway", key=f"e:{digest}", to=recipient(event))
        await self._log.append(Append(writes=(Write(stream=f"egress:{session}", expected=None, drafts=(draft,)),)))
