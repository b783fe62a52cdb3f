"""Usage, read from an answer as it passes, without holding it up. Pure: bytes in, counts out."""

from typing import Any, cast

import msgspec

from schema.events import UsageCounted

_LONGEST_LINE = 1 << 20
_BYTES_A_TOKEN = 4
_MOST_TOKENS = 1 << 40


class _Message(msgspec.Struct):
    usage: dict[str, Any] | None = None


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class _Event(msgspec.Struct):
    """An event of the stream, or a whole answer."""

    type: str = ""
    message: _Message | None = None
    usage: dict[str, Any] | None = None
    delta: _Delta | None = None


_events = msgspec.json.Decoder(_Event)


class Meter:
    """Feed it the answer's bytes; ask for the event when it is over.

    What was cut off before it named its usage is charged by estimate: the request by its size, the answer by what passed.
    """

    def __init__(self, reservation: str, model: str, asked: int) -> None:
        self._reservation = reservation
        self._model = model
        self._asked = asked
        self._spoken = 0
        self._rest = b""
        self._usage: dict[str, int] = {}
        self._final = False

    def feed(self, chunk: bytes) -> None:
        """Take in a piece of the stream. Never raises, whatever it holds."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:])

    def _event(self, data: bytes) -> None:
        try:
            event = _events.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if event.type == "content_block_delta" and event.delta:
            said = event.delta.text + event.delta.thinking + event.delta.partial_json
            self._spoken += len(said.encode())
        for usage in (event.message.usage if event.message else None, event.usage):
            if usage:
                written = usage.get("cache_creation")
                parts = cast("dict[str, Any]", written) if isinstance(written, dict) else {}
                self._usage |= {name: count for name, count in (usage | parts).items() if _is_count(count)}
        self._final = self._final or event.type in {"message_delta", "message"}

    def whole(self, body: bytes) -> None:
        """An answer that was not streamed."""
        self._event(body)

    def counted(self, status: int) -> UsageCounted | None:
        """The event; None for an error that cost nothing."""
        if status != 200:
            return None
        an_hour = self._usage.get("ephemeral_1h_input_tokens", 0)
        estimate = self._spoken // _BYTES_A_TOKEN + 1
        return UsageCounted(
            reservation=self._reservation,
            model=self._model[:80],
            input=self._usage.get("input_tokens", self._asked // _BYTES_A_TOKEN + 1),
            output=self._usage.get("output_tokens", estimate) if self._final else estimate,
            cache_read=self._usage.get("cache_read_input_tokens", 0),
            cache_write_5m=max(0, self._usage.get("cache_creation_input_tokens", 0) - an_hour),
            cache_write_1h=an_hour,
            status=status,
            estimated=not self._final,
        )


def _is_count(count: object) -> bool:
    return isinstance(count, int) and 0 <= count < _MOST_TOKENS


class Refusal(msgspec.Struct, frozen=True):
    """Anthropic's error shape."""

    message: str
    kind: str

    def body(self) -> dict[str, Any]:
        """As JSON."""
        return {"type": "error", "error": {"type": self.kind, "message": f"gateway: {self.message}"}}
