"""What a sandbox may ask, and how each refusal is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude.gateway.rules import Rules, refusal

RULES = Rules(betas=("context-*",), server_tools=("web_fetch_20250910",), most_tokens=1000)


def refused(beta: str = "", **fields: Any) -> str | None:
    return refusal(RULES, {"model": "claude-x", "messages": [], "max_tokens": 1000, **fields}, beta)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": [{"name": "Bash"}, {"type": "custom"}, {"type": "web_fetch_20250910"}]},
        {"tools": None, "betas": None, "fallback_models": None},
        {"fallback_models": ["claude-y", {"model": "claude-z"}]},
        {"betas": ["context-1m"]},
        {"beta": "context-1m, context-management"},
    ],
)
def test_what_is_allowed_is_not_refused(fields: dict[str, Any]) -> None:
    assert refused(**fields) is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"mcp_servers": []}, "the field 'mcp_servers' is not allowed"),
    ({"container": "x"}, "the field 'container' is not allowed"),
    ({"model": "gpt"}, "the model 'gpt' is not allowed"),
    ({"model": "x claude-y"}, "the model 'x claude-y' is not allowed"),
    ({"model": None}, "the model 'None' is not allowed"),
    ({"model": ["claude-x"]}, "the model \"['claude-x']\" is not allowed"),
    ({"fallback_models": ["claude-y", "gpt"]}, "the model 'gpt' is not allowed"),
    ({"fallback_models": [{"model": "gpt"}]}, "the model 'gpt' is not allowed"),
    ({"fallback_models": [{}]}, "the model '' is not allowed"),
    ({"fallback_models": "gpt"}, "its fallback_models are not a list of models"),
    ({"beta": "context-1m,files-api"}, "the beta 'files-api' is not allowed"),
    ({"betas": ["files-api"]}, "the beta 'files-api' is not allowed"),
    ({"betas": "files-api"}, "its betas are not a list of names"),
    ({"tools": [{"type": "web_search_20250305"}]}, "the server-side tool 'web_search_20250305' is not allowed"),
    ({"tools": [7]}, "its tools are not a list of tools"),
    ({"tools": [{"type": None}]}, "its tools are not a list of tools"),
    ({"max_tokens": 1001}, "max_tokens is more than 1000"),
    ({"max_tokens": "1"}, "max_tokens is more than 1000"),
]


@pytest.mark.parametrize(("fields", "why"), REFUSED)
def test_each_refusal_says_what_was_wrong(fields: dict[str, Any], why: str) -> None:
    assert refused(**fields) == why


def test_refusals_are_short_whatever_was_asked() -> None:
    long = "x" * 10_000
    asked: list[dict[str, Any]] = [{long: 1}, {"model": long}, {"betas": [long]}, {"tools": [{"type": long}]}]
    for fields in asked:
        assert len(refused(**fields) or "") < 120


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "model", "x"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["model", "tools", "max_tokens", "betas", "fallback_models"]), anything))
def test_any_body_is_allowed_or_refused(body: dict[str, Any]) -> None:
    assert (refusal(RULES, body, "") is None) <= str(body.get("model")).startswith("claude-")


SEARCH = {"type": "web_search_20250305", "name": "web_search"}
SMUGGLED: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": [{"type": "tool_addition", "tool": {"definition": SEARCH}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://x"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"source": {"type": "file"}}]}]}]},
    {"system": [{"type": "document", "source": {"type": "url", "url": "http://x"}}]},
]


@pytest.mark.parametrize("fields", SMUGGLED)
def test_anthropic_is_no_way_out(fields: dict[str, Any]) -> None:
    assert refused(**fields) in {
        "the server-side tool 'web_search_20250305' is not allowed",
        "images and documents by address are not allowed",
    }


def test_what_a_tool_was_called_with_is_its_own_business() -> None:
    call = {"type": "tool_use", "input": {"type": "web_search_20250305", "source": {"type": "url"}}}
    image = {"type": "image", "source": {"type": "base64", "data": "AA=="}}
    assert refused(messages=[{"role": "assistant", "content": [call, image]}]) is None


CLI_BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,per-turn-control-2026-07-01,"
    "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,"
    "effort-2025-11-24,fallback-credit-2026-06-01,thinking-display-updates-2026-08-18,token-counting-2024-11-01"
)  # as CLI 2.1.330 sends them


def test_the_betas_of_the_cli_are_allowed_and_those_that_run_things_elsewhere_are_not() -> None:
    asked: dict[str, Any] = {"model": "claude-x", "messages": []}
    assert refusal(Rules(), asked, CLI_BETAS) is None
    for beta in (
        "web-search-2025-03-05",
        "mcp-servers-2025-12-04",
        "code-execution-2025-05-22",
        "files-api-2025-04-14",
    ):
        assert refusal(Rules(), asked, f"{CLI_BETAS}, {beta}") == f"the beta {beta!r} is not allowed"
