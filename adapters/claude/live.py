"""What Claude is saying right now: text deltas, in memory only, until the finished block is a fact. Pure.

Lost with the process and read again from the journal: nothing may be decided on it.
"""

import msgspec

from adapters.claude import wire

_LIMIT = 256 << 10
_decoder = msgspec.json.Decoder(wire.StreamEvent)


class Live:
    """Feed it every line of one journal, in order; `text` is what is being said."""

    def __init__(self) -> None:
        self.text = ""

    def feed(self, line: bytes) -> None:
        """Take in one line. Never raises."""
        if not line.startswith(b'{"type":"stream_event"'):
            if line.startswith((b'{"type":"assistant"', b'{"type":"supervisor"')) or b'"type":"result"' in line[-4096:]:
                self.text = ""
            return
        try:
            said = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if said.parent_tool_use_id is None:
            self._stream(said.event)

    def _stream(self, event: wire.StreamBody) -> None:
        if event.type in {"message_start", "content_block_start"}:
            self.text = ""
        elif event.delta and event.delta.type == "text_delta" and len(self.text) < _LIMIT:
            self.text += wire.clean(event.delta.text)
