"""Logging: one stream of structured lines, ours and the libraries' alike, on stderr.

Promises: no secret reaches a line. Three nets hold it: `Secret` does not show itself; tracebacks are printed without local
variables; and the finished line is searched for the values of the secrets that `configure` was given and for interaction
tokens in Discord addresses. It must not: be used by the core, or configure anything at import.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from adapters.parsers import Secret
from adapters.settings import Logging

REDACTED = "[secret]"
SHORTEST = 4  # characters; what is shorter is no secret, and searching for it would tear every line apart

# The token of an interaction is part of its addresses, and with it anybody can answer in our name for 15 minutes.
_DISCORD_TOKEN = re.compile(r"(/(?:webhooks|interactions)/\d+/)[\w.~%-]+")

# Libraries that tell more than we want to know at our own level.
_QUIETER = {"hikari": logging.INFO, "aiohttp.access": logging.WARNING, "asyncio": logging.WARNING}


def configure(settings: Logging, secrets: Iterable[Secret] = (), *, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for the whole process. `stream`: stderr unless given."""
    output = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.PositionalArgumentsFormatter(), ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    formatter = ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[ProcessorFormatter.remove_processors_meta, *_renderer(settings.format, output), Redactor(secrets)],
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(max(level, least))


def _renderer(form: str, stream: TextIO) -> list[Processor]:
    if form == "console" or (form == "auto" and stream.isatty()):
        # the default formatter would print local variables, tokens among them
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False, default=repr)]


class Redactor:
    """The last processor: takes secrets out of the finished line."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {value for value in (secret.reveal() for secret in secrets) if len(value) >= SHORTEST}
        forms = {
            form for value in values for form in (value, json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
        }
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict | str) -> str:
        del logger, method
        text = str(line)
        if self._known:
            text = self._known.sub(REDACTED, text)
        return _DISCORD_TOKEN.sub(rf"\g<1>{REDACTED}", text)
