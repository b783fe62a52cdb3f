"""The pure parts of the supervisor's protocol: headers, lines, paths, and cutting a journal into lines."""

import ast
import hashlib
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude import invocation, supervisor
from adapters.claude.channel import JournalLine, LineSplitter

LIMIT = 1000
IDS = st.from_regex(r"[A-Za-z0-9._:@-]{1,200}", fullmatch=True)


def test_the_supervisor_needs_nothing_newer_than_python_3_9() -> None:
    ast.parse(Path(supervisor.__file__).read_text(), feature_version=(3, 9))


@given(item=IDS, payload=st.binary(max_size=LIMIT))
def test_a_header_is_read_as_it_was_written(item: str, payload: bytes) -> None:
    digest = hashlib.sha256(payload).hexdigest()
    assert supervisor.parse_header(f"{item} {len(payload)} {digest}\n".encode(), LIMIT) == (item, len(payload), digest)


@given(item=IDS, cut=st.integers(min_value=0, max_value=60))
def test_a_torn_header_takes_nothing_and_says_that_it_is_torn(item: str, cut: int) -> None:
    header = f"{item} 5 {hashlib.sha256(b'hello').hexdigest()}\n".encode()
    with pytest.raises(supervisor.Refused) as refused:
        supervisor.parse_header(header[: len(header) - 1 - cut], LIMIT)
    assert refused.value.status == supervisor.TORN


@given(line=st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_header(line: bytes) -> None:
    try:
        header = supervisor.parse_header(line, LIMIT)
    except supervisor.Refused:
        return
    assert header.size <= LIMIT


def test_a_header_beyond_the_limit_is_refused() -> None:
    with pytest.raises(supervisor.Refused, match="1001 bytes are more than the limit of 1000"):
        supervisor.parse_header(b"a 1001 " + b"0" * 64 + b"\n", LIMIT)


@given(text=st.text())
def test_a_prompt_may_hold_any_text(text: str) -> None:
    message = {"type": "user", "message": {"role": "user", "content": text}}
    supervisor.check_line(json.dumps(message).encode() + b"\n")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'"user"\n',
        b'{"type":"user"\n',
        b'{"type":"user"}\n',
        b'{"type":["user"]}\n',
        b'{"type":"user","message":"text"}\n',
        b'{"type":"user","message":{"role":"assistant","content":"text"}}\n',
        b'{"type":"user","message":{"role":"user"}}\n',
        b'{"type":"user","message":{"role":"user","content":NaN}}\n',
        b'{"type":"user","message":{"role":"user","content":"a\nb"}}\n',
        b'{"type":"user","message":{"role":"user","content":"a"}}\n{}\n',
        b'{"type":"user","message":{"role":"user","content":"a"}}',
        b'{"type":"user","message":{"role":"user","content":"\xff"}}\n',
        b'{"type":"user","message":{"role":"user","content":' + b"[" * 100_000 + b"]" * 100_000 + b"}}\n",
        b'{"type":"control_request"}\n',
        b'{"type":"assistant","message":{"role":"user","content":"a"}}\n',
        '{"type":"user","message":{"role":"user","content":"a"}}\n'.encode("utf-16"),
    ],
)
def test_a_line_that_could_end_the_cli_is_refused(line: bytes) -> None:
    with pytest.raises(supervisor.Refused) as refused:
        supervisor.check_line(line)
    assert refused.value.status == supervisor.BAD_INPUT


@given(line=st.binary(max_size=300))
def test_no_bytes_break_the_checking_of_a_line(line: bytes) -> None:
    try:
        supervisor.check_line(line)
    except supervisor.Refused:
        return
    assert line.endswith(b"\n")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "home",
        "home/",
        "/etc/passwd",
        "state/claim",
        "home/../x",
        "home/a/..",
        "work/./a",
        "work//a",
        "work/a\0b",
        "..",
    ],
)
def test_a_path_that_could_lead_out_is_refused(path: str) -> None:
    with pytest.raises(supervisor.Refused, match="plain names"):
        supervisor.split_path(path)


def test_a_path_names_an_area_and_what_is_below() -> None:
    assert supervisor.split_path("home/.claude/CLAUDE.md") == ("home", [".claude", "CLAUDE.md"])


@st.composite
def cut_journals(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Lines, and the chunks in which their journal arrives."""
    lines = draw(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"."))))
    journal = b"".join(line + b"\n" for line in lines) + draw(st.sampled_from([b"", b"torn"]))
    cuts = sorted(draw(st.lists(st.integers(0, len(journal)), max_size=10)))
    edges = [0, *cuts, len(journal)]
    return lines, [journal[a:b] for a, b in pairwise(edges)]


@given(case=cut_journals(), offset=st.integers(0, 1000))
def test_lines_are_whole_however_they_arrive_and_too_long_ones_are_told(
    case: tuple[list[bytes], list[bytes]], offset: int
) -> None:
    lines, chunks = case
    splitter = LineSplitter(3, offset, limit=20)
    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    end, expected = offset, list[JournalLine]()
    for line in lines:
        end += len(line) + 1
        expected.append(JournalLine(3, end, line if len(line) <= 20 else None))
    assert found == expected


def test_the_invocation_holds_the_token_in_the_environment_only() -> None:
    settings = invocation.CliSettings(cli="/opt/claude", base_url="http://gateway", isolated=True, model="m")
    config = json.loads(invocation.config(settings, session="42", token="secret"))
    assert "secret" not in " ".join(config["argv"])
    assert config["env"]["ANTHROPIC_AUTH_TOKEN"] == "secret"
    assert config["session"] == invocation.cli_session("42")
    assert config["argv"][:2] == ["/opt/claude", "-p"]
    assert "HTTPS_PROXY" not in config["env"]


def test_tools_are_told_of_the_way_out() -> None:
    settings = invocation.CliSettings(cli="c", base_url="http://g", isolated=True, egress_url="http://g:3128")
    environment = invocation.environment(settings, "secret")
    assert environment["HTTPS_PROXY"] == environment["https_proxy"]
    assert environment["HTTPS_PROXY"].split("@") == ["http://dc1:secret", "g:3128"]
    # the gateway itself is reached directly: the CLI takes a proxy for https for http, too
    assert not {"HTTP_PROXY", "http_proxy", "ALL_PROXY"} & environment.keys()
    assert environment["NO_PROXY"] == environment["no_proxy"] == "g"
