"""Times as people write them."""

import re
from datetime import UTC, datetime, timedelta

from adapters.audit.source import Misused

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_time(text: str, now: datetime) -> int:
    """µs since the epoch: ISO 8601 (without a zone: the zone of `now`), `14:03` (the last one), or `2h` (ago). Raises Misused."""
    if ago := _AGO.fullmatch(text):
        try:
            return _us(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        except OverflowError:
            raise Misused(f"{text} ago is before time began") from None
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            hour, *rest = text.split(":")
            time = datetime.strptime(":".join([hour.zfill(2), *rest]), "%H:%M:%S" if len(rest) > 1 else "%H:%M").time()  # noqa: DTZ007 - only its time of day is used
            moment = datetime.combine(now.date(), time, now.tzinfo)
            return _us(moment if moment <= now else moment - timedelta(days=1))
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Misused(
            f"{text!r} is not a time: write 2026-11-24T14:03, 14:03 (the last one), or 90m (90 minutes ago)"
        ) from None
    return _us(moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo))


def _us(moment: datetime) -> int:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
