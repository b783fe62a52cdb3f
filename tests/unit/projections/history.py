"""Recorded events for tests of views."""

from schema.envelope import Recorded
from schema.events import Event


def recorded(stream: str, event: Event, *, position: int = 1, at: int = 1) -> Recorded:
    return Recorded(
        position=position,
        stream=stream,
        version=position,
        at=at,
        actor="bot",
        cause=0,
        key=None,
        hash=bytes(32),
        event=event,
    )
