"""What a button says when it is pressed: versioned, so that buttons of old messages still work after an upgrade. Pure.

State is in the log, never in here: an id names the session and the thing it was about, and the decider knows the rest.
"""

import msgspec

LONGEST = 100  # Discord's limit (`notes/discord.md` §5)
_VERSION = "v1"
SERVER_KINDS = frozenset({"approve", "refuse", "confirm"})
"""What is asked of a server, and not of a session."""
ANYWHERE = frozenset({"end"})
"""What is asked of a session from outside its thread: the id says of which."""
KINDS = (
    SERVER_KINDS
    | ANYWHERE
    | {"stop", "allow", "always", "deny", "remove", "continue", "retry", "close", "leave", "again"}
)


class Pressed(msgspec.Struct, frozen=True):
    """`about`: a turn, a request or a prompt, by its id; empty for the session itself. `session` is the server for what is
    asked of a server; `about` is then who is to be let in, by the session they asked for.
    """

    kind: str
    session: str
    about: str = ""


def write(pressed: Pressed) -> str:
    """The custom_id of a button."""
    return f"{_VERSION}:{pressed.kind}:{pressed.session}:{pressed.about}"[:LONGEST]


def read(custom_id: str) -> Pressed | None:
    """What was pressed; None for an id that no version of ours wrote."""
    version, _, rest = custom_id.partition(":")
    kind, _, rest = rest.partition(":")
    session, _, about = rest.partition(":")
    if version != _VERSION or kind not in KINDS or not session:
        return None
    return Pressed(kind, session, about)
