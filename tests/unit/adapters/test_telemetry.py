import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from adapters.parsers import Secret
from adapters.settings import Logging
from adapters.telemetry import REDACTED, configure

SECRET = "hunter2\"\\'s password"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("hikari", "aiohttp.access", "asyncio")}
    yield
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def fail_with(message: str, *local_variables: str) -> None:
    raise ValueError(message)


def configured(form: str = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(Logging(format=form, level=level), [Secret(SECRET), Secret("")], stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_the_libraries_look_alike() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(session="123"):
        structlog.get_logger("ours").warning("told", count=2)
        logging.getLogger("hikari.gateway").warning("told %s", "too", extra={"shard": 1})
    ours, theirs = lines(stream)
    assert ours.items() >= {"event": "told", "count": 2, "level": "warning", "logger": "ours", "session": "123"}.items()
    assert theirs.items() >= {"event": "told too", "shard": 1, "level": "warning", "session": "123"}.items()
    assert ours.keys() >= {"timestamp"} <= theirs.keys()


def test_auto_is_json_where_nobody_looks() -> None:
    stream = configured("auto")
    structlog.get_logger("ours").info("told")
    assert lines(stream)[0]["event"] == "told"


def test_levels_hold_for_us_and_for_them() -> None:
    stream = configured(level="debug")
    structlog.get_logger("ours").debug("shown")
    for name in ("hikari.rest", "asyncio", "aiohttp.access"):
        logging.getLogger(name).debug("too much")
    logging.getLogger("aiohttp.access").info("too much")
    assert [line["event"] for line in lines(stream)] == ["shown"]
    stream = configured(level="error")
    structlog.get_logger("ours").warning("not shown")
    logging.getLogger("hikari").warning("not shown")
    assert not stream.getvalue()


def test_warnings_are_lines_too() -> None:
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # catch_warnings has put its own in place
        logging.captureWarnings(capture=True)
        warnings.warn("mind this", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "mind this" in lines(stream)[0]["event"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_gets_through(form: str) -> None:
    stream = configured(form)
    log = structlog.get_logger("ours")
    log.warning("as a value", value=Secret(SECRET), nested=[{"a": Secret(SECRET)}])
    text = f"as text {SECRET}"
    log.warning(text, also=SECRET)
    logging.getLogger("aiohttp").warning("from %s", f"a library {SECRET}")
    try:
        fail_with(f"in an error: {SECRET}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("hikari").exception("failed")
    shown = stream.getvalue()
    assert "hunter2" not in shown
    assert shown.count(REDACTED) >= 4
    assert shown.count("ValueError") >= 2


def test_the_keys_in_files_do_not_get_through(tmp_path: Path) -> None:
    key, stream = tmp_path / "key", io.StringIO()
    key.write_text("c2VjcmV0IGtleQ==\n")
    configure(Logging(format="json", level="info"), map(Secret.in_file, (key, tmp_path / "none")), stream=stream)
    structlog.get_logger("ours").warning("read", key=key.read_text())
    assert lines(stream)[0]["key"] == f"{REDACTED}\n"


def test_tracebacks_show_no_local_variables() -> None:
    stream = configured("console")
    try:
        fail_with("only its ", "made of", " parts")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
    assert "ValueError: only its" in stream.getvalue()
    assert "made of" not in stream.getvalue().replace('"made of"', "")  # the source line is shown, the values are not


@pytest.mark.parametrize("address", ["/api/v10/webhooks/12/aW5.0_ZXI-", "/interactions/12/aW5.0_ZXI-/callback"])
def test_interaction_tokens_are_taken_out_of_addresses(address: str) -> None:
    stream = configured()
    logging.getLogger("hikari.rest").warning("POST https://discord.com%s failed", address)
    assert "aW5" not in stream.getvalue()
    assert f"/12/{REDACTED}" in stream.getvalue()
