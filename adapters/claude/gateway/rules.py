"""What a sandbox may ask of the model: an allow-list of paths, models, headers, fields and tools. Pure.

Anthropic must not become a way out of the sandbox: neither by tools that run there, nor by an image or document that is
fetched from an address. A refusal is a 403, which the CLI shows and does not retry (`claude-code.md` §8: it retries 401
and 429).
"""

import fnmatch
import re
from typing import Any, cast

import msgspec

PATHS = ("/v1/messages", "/v1/messages/count_tokens")
QUERIES = ("", "beta=true")

FORWARDED_HEADERS = ("content-type", "accept", "anthropic-version", "anthropic-beta", "user-agent", "x-app")

FIELDS = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "tools",
        "tool_choice",
        "thinking",
        "metadata",
        "context_management",
        "output_config",
        "output_format",
        "service_tier",
        "betas",
        "diagnostics",
        "fallback_models",
        "speed",
        "cache_control",
    }
)


BETAS = (
    "advanced-tool-use-*",
    "cache-*",
    "claude-code-*",
    "context-1m-*",
    "context-hint-*",
    "context-management-*",
    "effort-*",
    "extended-cache-ttl-*",
    "fallback-credit-*",
    "fine-grained-tool-streaming-*",
    "interleaved-thinking-*",
    "mid-conversation-*",
    "per-turn-control-*",
    "prompt-caching-*",
    "redact-thinking-*",
    "structured-outputs-*",
    "task-budgets-*",
    "thinking-*",
    "token-counting-*",
    "tool-search-tool-*",
)
"""What CLI 2.1.330 turns on by itself or by a setting, without what runs, keeps or fetches things at Anthropic."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """`models` and `betas` are patterns as in a shell. `server_tools`: types of tools that run at Anthropic, off unless named.

    `at_once` and `per_minute` are for one session, in requests.
    """

    models: tuple[str, ...] = ("claude-*",)
    betas: tuple[str, ...] = BETAS
    server_tools: tuple[str, ...] = ()
    most_bytes: int = 32 << 20
    most_tokens: int = 128_000
    at_once: int = 8
    per_minute: int = 240


class Tool(msgspec.Struct):
    """What a tool says of itself."""

    type: str = "custom"


class Named(msgspec.Struct):
    """What names a model."""

    model: str = ""


def refusal(rules: Rules, asked: dict[str, Any], beta: str) -> str | None:
    """Why a request is refused, as a sentence; None when it is not. `asked` is the decoded body, `beta` the header."""
    return (
        _unknown_field(asked)
        or _model(rules, asked.get("model"))
        or _fallbacks(rules, asked.get("fallback_models") or [])
        or _beta(rules, beta.split(","))
        or _beta(rules, asked.get("betas") or [])
        or _tools(rules, asked.get("tools") or [])
        or _content(rules, [asked.get("messages"), asked.get("system")])
        or _tokens(rules, asked.get("max_tokens", 0))
    )


def _unknown_field(asked: dict[str, Any]) -> str | None:
    unknown = sorted(set(asked) - FIELDS)
    return f"the field {unknown[0][:40]!r} is not allowed" if unknown else None


def _model(rules: Rules, model: object) -> str | None:
    allowed = isinstance(model, str) and any(fnmatch.fnmatchcase(model, pattern) for pattern in rules.models)
    return None if allowed else f"the model {str(model)[:60]!r} is not allowed"


def _fallbacks(rules: Rules, models: object) -> str | None:
    """Other models that may answer instead: names, or objects that have one."""
    try:
        given = msgspec.convert(models, list[str | Named])
    except msgspec.ValidationError:
        return "its fallback_models are not a list of models"
    refused = (_model(rules, one if isinstance(one, str) else one.model) for one in given)
    return next(filter(None, refused), None)


def _beta(rules: Rules, betas: object) -> str | None:
    try:
        given = msgspec.convert(betas, list[str])
    except msgspec.ValidationError:
        return "its betas are not a list of names"
    for beta in filter(None, (part.strip() for part in given)):
        if not any(fnmatch.fnmatchcase(beta, pattern) for pattern in rules.betas):
            return f"the beta {beta[:60]!r} is not allowed"
    return None


def _tools(rules: Rules, tools: object) -> str | None:
    """Tools of a `type` other than custom run at Anthropic, with a network of their own."""
    try:
        given = msgspec.convert(tools, list[Tool])
    except msgspec.ValidationError:
        return "its tools are not a list of tools"
    others = [tool.type for tool in given if tool.type != "custom" and tool.type not in rules.server_tools]
    return f"the server-side tool {others[0][:60]!r} is not allowed" if others else None


_VERSIONED = re.compile(r"_20[0-9]{6}\Z")


def _content(rules: Rules, content: object) -> str | None:
    """Blocks that make Anthropic fetch something, or bring a server-side tool along in a message."""
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += cast("list[Any]", one)
        elif isinstance(one, dict):
            block = cast("dict[str, Any]", one)
            kind, source = block.get("type"), block.get("source")
            if isinstance(kind, str) and _VERSIONED.search(kind) and kind not in rules.server_tools:
                return f"the server-side tool {kind[:60]!r} is not allowed"
            if isinstance(source, dict) and cast("dict[str, Any]", source).get("type") in {"url", "file"}:
                return "images and documents by address are not allowed"
            waiting += [value for name, value in block.items() if name != "input"]
    return None


def _tokens(rules: Rules, asked: object) -> str | None:
    allowed = isinstance(asked, int) and asked <= rules.most_tokens
    return None if allowed else f"max_tokens is more than {rules.most_tokens}"
