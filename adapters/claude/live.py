"""What Claude is saying right now: text deltas, in memory only, until the finished block is a fact; and where it works. Pure.

Lost with the process and read again from the journal: nothing may be decided on it.
"""

from contextlib import suppress

import msgspec

from adapters.claude import wire
from adapters.claude.parse import SAID_LIMIT, UNREADABLE, mended

_decoder = msgspec.json.Decoder(wire.StreamEvent)


class Live:
    """Feed it every line of one journal, in order.

    `text` is what is being said; what subagents say is not. `workspace` is the CLI's working directory, as every turn tells
    it: "" until the first one begins.
    """

    def __init__(self) -> None:
        self.text = ""
        self.workspace = ""

    def feed(self, line: bytes) -> None:
        """Take in one line. Never raises."""
        said = _read(line)
        if said is None or said.parent_tool_use_id is not None:
            return
        match said.type:
            case "stream_event" if isinstance(said.event, wire.StreamBody):
                self._stream(said.event)
            case "assistant" | "result" | "supervisor":
                self.text = ""
            case "system" if said.cwd:
                self.workspace = said.cwd
            case _:
                pass

    def _stream(self, event: wire.StreamBody) -> None:
        if event.type in {"message_start", "content_block_start"}:
            self.text = ""
        elif event.delta and event.delta.type == "text_delta" and len(self.text) < SAID_LIMIT:
            self.text += wire.clean(event.delta.text)


def _read(line: bytes) -> wire.StreamEvent | None:
    for attempt in (lambda: line, lambda: mended(line)):
        with suppress(*UNREADABLE):
            return _decoder.decode(attempt())
    return None
