"""Why something happened: from each event back to the one it follows from, and so to what somebody did in Discord.

The log records the cause of what answers a message (`cause`). What follows by itself later (a turn from its prompt, a message
from its turn, a sandbox from its request) says which prompt, turn or reservation it belongs to; the rest is read from that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapters.postgres.audit import Stored

# what an event makes findable, and for what it looks: (field, under which name)
_MAKES = {
    "session.requested": ("head", None),
    "session.prompt_queued": ("prompt", "prompt"),
    "session.prompt_edited": ("prompt", "prompt"),
    "session.prompt_sent": ("sent", "prompt"),
    "session.turn_started": ("turn", "turn"),
    "session.answer_asked": ("ask", "request"),
    "session.answer_given": ("answer", "request"),
    "session.stop_asked": ("stop", "turn"),
    "session.turn_cut": ("cut", "turn"),
    "session.sandbox_reserved": ("reservation", "reservation"),
    "session.close_asked": ("close", None),
    "slots.asked": ("line", None),
}
_LOOKS_FOR: Mapping[str, Sequence[tuple[str, str | None]]] = {
    "session.starter_posted": [("head", None)],
    "session.thread_opened": [("head", None)],
    "session.slot_asked": [("line", None), ("prompt", None), ("head", None)],
    "session.slot_left": [("line", None), ("head", None)],
    "session.sandbox_reserved": [("line", None), ("head", None)],
    "session.sandbox_probed": [("reservation", "reservation")],
    "session.sandbox_placed": [("reservation", "reservation")],
    "session.sandbox_ready": [("reservation", "reservation")],
    "session.sandbox_lost": [("reservation", "reservation")],
    "session.sandbox_lost.2": [("reservation", "reservation")],
    "session.sandbox_gone": [("close", None), ("reservation", "reservation")],
    "session.prompt_sent": [("prompt", "prompt")],
    "session.turn_started": [("sent", "prompt"), ("prompt", "prompt")],
    "session.turn_ended": [("turn", "turn")],
    "session.turn_cut": [("turn", "turn")],
    "session.cut_resolved": [("cut", "turn")],
    "session.answer_asked": [("turn", "turn")],
    "session.answer_expired": [("ask", "request")],
    "session.journal_read": [("turn", None), ("sent", None), ("reservation", None)],
    "session.handed_over": [("close", None)],
    "session.closed": [("close", None)],
    "slots.asked": [("prompt", None), ("head", None)],
    "slots.granted": [("line", None)],
    "slots.left": [("line", None)],
    "slots.released": [("reservation", "reservation")],
    "usage.counted": [("turn", None), ("reservation", "reservation")],
    "usage.counted.2": [("turn", None), ("reservation", "reservation")],
}
_ITEMS = {"prompt": "sent", "answer": "answer", "stop": "stop"}  # of `delivered` and `effect_failed`
_PARTS = {"turn": "turn", "ask": "ask", "queued": "prompt", "cut": "cut"}  # of cards


class Node(msgspec.Struct, frozen=True):
    """An event and what follows from it, in order."""

    stored: Stored
    effects: list["Node"]


def parents(events: Sequence[Stored]) -> dict[int, int]:
    """From each event of a session to the one it follows from; those without one are roots."""
    known: dict[tuple[str, str], int] = {}
    found: dict[int, int] = {}
    for stored in events:
        body: dict[str, Any] = msgspec.json.decode(stored.payload)
        cause = stored.cause or next((known[one] for one in _wanted(stored.kind, body) if one in known), 0)
        if cause:
            found[stored.position] = cause
        if stored.kind in _MAKES:
            name, field = _MAKES[stored.kind]
            known[name, str(body.get(field, "")) if field else ""] = stored.position
            known[name, ""] = stored.position
    return found


def _wanted(kind: str, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    if kind == "session.replied":
        return []
    if "part" in body:
        name, _, number = str(body["part"]).partition(":")
        return [(_PARTS.get(name, "head"), number if name in _PARTS else ""), ("head", "")]
    if kind in {"session.delivered", "session.effect_failed"}:
        name, _, number = str(body.get("item", body.get("what", ""))).partition(":")
        return [(_ITEMS.get(name, "head"), number if name in _ITEMS else ""), ("head", "")]
    return [(name, str(body.get(field, "")) if field else "") for name, field in _LOOKS_FOR.get(kind, [])]


def forest(events: Sequence[Stored]) -> list[Node]:
    """What happened, as trees: each root with all that followed from it."""
    above = parents(events)
    replied = {
        one.position: int(msgspec.json.decode(one.payload)["to"]) for one in events if one.kind == "session.replied"
    }
    above |= replied
    nodes = {stored.position: Node(stored, []) for stored in events}
    roots: list[Node] = []
    for position, node in nodes.items():
        parent = nodes.get(above.get(position, 0))
        (parent.effects if parent else roots).append(node)
    return roots


def path(roots: Sequence[Node], position: int) -> list[Node]:
    """From a root to the event at `position`; empty when it is in none of the trees."""
    for root in roots:
        if root.stored.position == position:
            return [root]
        if below := path(root.effects, position):
            return [root, *below]
    return []
