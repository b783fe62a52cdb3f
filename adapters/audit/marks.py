"""Events that a story tells in a few words each, and those that it does not tell."""

from collections.abc import Mapping

HANDED: Mapping[str, str] = {"lost": "bad", "kept": "warn"}
"""The tone of a hand-over, by how it went; good otherwise."""

MARKS: Mapping[str, tuple[str, str]] = {
    "session.access_asked": ("is no member, asked to be let in", "plain"),
    "session.budget_neared": ("has used most of the day's budget", "warn"),
    "session.shared": ("shared the session", "plain"),
    "session.unshared": ("no longer shared the session", "plain"),
    "session.line_left": ("out of the line", "plain"),
    "session.idle_asked": ("idle while others waited: asked whether to keep the sandbox", "warn"),
    "session.kept": ("kept the sandbox", "plain"),
    "session.prompt_removed": ("took a queued prompt back", "plain"),
    "session.stop_asked": ("stop", "warn"),
    "session.cut_resolved": ("chose how to go on after the cut", "plain"),
}
"""Words and tone, by kind of event."""

UNTOLD = frozenset(
    f"session.{name}"
    for name in (
        # what changed nothing, and what the gateway's own event tells
        *("noted", "egress_noted"),
        # what the thread shows, and how
        *("starter_posted", "message_shown", "part_cleared", "replied"),
        # steps to what is told
        *("slot_needed", "prompt_sent", "delivered"),
    )
)
"""Kinds of events that are no story."""
