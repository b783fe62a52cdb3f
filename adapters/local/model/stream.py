"""From a step to the events of the Messages API (its streaming documentation; shapes as the CLI takes them). Pure."""

import json
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def content(step: dict[str, Any], tool_prefix: str) -> list[dict[str, Any]]:
    """The content blocks of a step. Tool uses are numbered from `tool_prefix`, so that every one is known again."""
    blocks = step.get("blocks") or [step]
    made: list[dict[str, Any]] = []
    for number, block in enumerate(blocks):
        if "tool" in block:
            made.append(
                {
                    "type": "tool_use",
                    "id": f"{tool_prefix}_{number}",
                    "name": block["tool"],
                    "input": block.get("input", {}),
                },
            )
        elif "thinking" in block:
            made.append({"type": "thinking", "thinking": block["thinking"], "signature": "c2NyaXB0ZWQ="})
        else:
            made.append({"type": "text", "text": block.get("text", "") * block.get("repeat", 1)})
    return made


def message(asked: dict[str, Any], number: int, blocks: list[dict[str, Any]], size: int) -> Event:
    """The whole answer, as it is given without streaming. `size` is that of the request, in bytes."""
    spoken = sum(len(json.dumps(block)) for block in blocks)
    return {
        "id": f"msg_local_{number}",
        "type": "message",
        "role": "assistant",
        "model": str(asked.get("model", "")),
        "content": blocks,
        "stop_reason": "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": size // 4 + 1,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": spoken // 4 + 1,
            "service_tier": "standard",
        },
    }


def events(answer: Event, chunk: int) -> Iterator[Event]:
    """The same answer in pieces of `chunk` characters."""
    usage = {**answer["usage"], "output_tokens": 1}
    yield {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None, "usage": usage}}
    yield {"type": "ping"}
    for index, block in enumerate(answer["content"]):
        empty, deltas = _pieces(block, chunk)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    spent = {"output_tokens": answer["usage"]["output_tokens"]}
    yield {"type": "message_delta", "delta": end, "usage": spent}
    yield {"type": "message_stop"}


def _pieces(block: dict[str, Any], chunk: int) -> tuple[Event, list[Event]]:
    match block["type"]:
        case "text":
            text: str = block["text"]
            parts = [text[at : at + chunk] for at in range(0, len(text), chunk)]
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": part} for part in parts]
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case _:
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
