"""The ways between the phases of a session, as a table: `README.md` draws it, and the tests hold both to what really happens.

Nothing decides by this table. A phase follows from the state (`Session.phase`); this says which changes are meant to be seen.
"""

from engine.session import Phase

WAYS: dict[tuple[Phase, Phase], str] = {
    (Phase.NEW, Phase.REQUESTED): "/claude start",
    (Phase.REQUESTED, Phase.WAITING): "its thread is open",
    (Phase.REQUESTED, Phase.CLOSING): "closed, or no thread can be made",
    (Phase.WAITING, Phase.PROVISIONING): "a slot is granted",
    (Phase.WAITING, Phase.CLOSING): "closed",
    (Phase.PROVISIONING, Phase.READY): "the sandbox answers",
    (Phase.PROVISIONING, Phase.WORKING): "it answers again, and a prompt is on its way",
    (Phase.PROVISIONING, Phase.LOST): "it does not come up",
    (Phase.PROVISIONING, Phase.CLOSING): "closed",
    (Phase.READY, Phase.WORKING): "a prompt goes to Claude",
    (Phase.READY, Phase.LOST): "the sandbox is gone",
    (Phase.READY, Phase.CLOSING): "closed",
    (Phase.WORKING, Phase.READY): "the turn is over, or cut",
    (Phase.WORKING, Phase.AWAITING): "Claude asks",
    (Phase.WORKING, Phase.LOST): "the sandbox is gone",
    (Phase.WORKING, Phase.CLOSING): "closed",
    (Phase.AWAITING, Phase.WORKING): "decided, expired or withdrawn",
    (Phase.AWAITING, Phase.READY): "the turn is over, or cut",
    (Phase.AWAITING, Phase.LOST): "the sandbox is gone",
    (Phase.AWAITING, Phase.CLOSING): "closed",
    (Phase.LOST, Phase.PROVISIONING): "a new slot is granted",
    (Phase.LOST, Phase.CLOSING): "closed",
    (Phase.CLOSING, Phase.CLOSED): "handed over, and the sandbox is gone",
}
"""From, to, and why. An actor that appends several events at once may pass through phases that nobody sees."""


def diagram() -> str:
    """The table as a mermaid state diagram."""
    ways = [f"    {begin} --> {end}: {why}" for (begin, end), why in WAYS.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Phase.NEW}", *ways, f"    {Phase.CLOSED} --> [*]"])
