"""A stand-in for the CLI that talks: what it says is when it says it, in µs, as the CLI would print it (`claude-code.md` §3).

It runs in the sandbox, where this project is not installed: standard library only.
"""

import json
import sys
import time

TEMPO = 1.5
"""Seconds between two things said: longer than the pacing rule, so that no edit is held back by it."""


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def stream(**event: object) -> None:
    say(type="stream_event", event=event, parent_tool_use_id=None)


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["type"] == "user":
            say(type="command_lifecycle", command_uuid=asked["uuid"], state="started")
            stream(type="content_block_start", index=0, content_block={"type": "text", "text": ""})
            while True:
                text = f"{time.time_ns() // 1000} "
                stream(type="content_block_delta", index=0, delta={"type": "text_delta", "text": text})
                time.sleep(TEMPO)


if __name__ == "__main__":
    main()
