"""How soon people read what Claude says: from a line in the journal of a real supervisor to the edit that Discord gets."""

import os
import re
import statistics
import sys
from datetime import datetime
from pathlib import Path

from adapters import settings
from adapters.local.discord.people import Json
from adapters.wiring import local_sandbox, open_bot
from tests.load.figures import Bench, figure
from tests.load.installation import Installation, installation

_LINES = 5  # in one measurement
_STAMP = re.compile(r"\b\d{16}\b")
_PATIENCE = 120.0


@figure
async def line_to_edit(bench: Bench) -> None:
    """Milliseconds, of lines that come so slowly that the pacing rule holds none of them back."""
    async with installation(bench) as made:
        cli = _stand_in(made.folder / "cli")
        async with made.running():
            read = settings.load(made.environment | {"CLAUDE_BIN": str(cli)})
            async with open_bot(read):
                talk = _Talk(made)
                await talk.begin()

                async def median() -> float:
                    return statistics.median([await talk.next_line() for _ in range(bench.some(_LINES))])

                await bench.tell("line_to_edit", median, "none: ms")
            await local_sandbox(made.sandboxes, cli).end_all()


def _stand_in(path: Path) -> Path:
    """The program that talks, executable where this project's environment is not seen."""
    program = Path(__file__).with_name("talking.py").read_text()
    path.write_text(f"#!{os.path.realpath(sys.executable)} -I\n{program}")
    path.chmod(0o755)
    return path


class _Talk:
    """A turn that Alice reads. What its message says ends with when the last line was written."""

    def __init__(self, made: Installation) -> None:
        self._alice = made.alice
        self._channel = made.channel
        self._thread = ""
        self._known = 0

    async def begin(self) -> None:
        """Until the turn's message stands there."""
        await self._alice.slash("claude", "start", channel=self._channel, prompt="talk")
        self._thread = await self._alice.wait_thread(self._channel, timeout=_PATIENCE)
        await self.next_line()

    async def next_line(self) -> float:
        """How long the next new line took to Discord's clock, in ms."""

        def is_new(message: Json) -> bool:
            return _written(message) > self._known

        message = await self._alice.wait_message(self._thread, is_new, "a line", _PATIENCE)
        self._known = _written(message)
        shown = datetime.fromisoformat(message["edited_timestamp"] or message["timestamp"])
        return shown.timestamp() * 1000 - self._known / 1000


def _written(message: Json) -> int:
    """When the last line that a message shows was written, in µs; 0 for none."""
    stamps = _STAMP.findall(message["content"])
    return int(stamps[-1]) if stamps else 0
