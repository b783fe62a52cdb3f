"""What tokens cost, about: public list prices by the beginning of a model's name. An estimate is all that is made of it.

Prices change and contracts differ, so costs are never stored: views count tokens, and whoever reads them names the prices.
"""

from collections.abc import Iterable, Mapping

import msgspec

from projections.usage import Counts, Row


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for a million tokens. The fields are named like those of `Counts`."""

    input: float
    output: float
    cache_read: float
    cache_write_5m: float
    cache_write_1h: float


Prices = Mapping[str, Price]
"""By the beginning of a model's name; the longest that fits counts."""

LISTED: Prices = {
    "claude-opus": Price(5, 25, 0.5, 6.25, 10),
    "claude-sonnet": Price(3, 15, 0.3, 3.75, 6),
    "claude-haiku": Price(1, 5, 0.1, 1.25, 2),
    "claude-opus-4": Price(15, 75, 1.5, 18.75, 30),
    "claude-opus-4-5": Price(5, 25, 0.5, 6.25, 10),
    "claude-3-5-haiku": Price(0.8, 4, 0.08, 1, 1.6),
    "claude-3-haiku": Price(0.25, 1.25, 0.03, 0.3, 0.5),
}
"""As Anthropic listed them in November 2025; `claude-opus-4` is 4 and 4.1. A newer model is taken to cost what its family does."""


def spent(rows: Iterable[Row], person: str, day: int, prices: Prices) -> int:
    """What somebody has used on a day (since 1970), in millionths of a dollar.

    A model without a price is taken to cost what the dearest does: a budget that cannot see it would be none.
    """
    dearest = max(prices, key=lambda name: prices[name].output)
    total = 0.0
    for row in rows:
        for key, counts in row.counts.items():
            on, by, model = key.split("/", 2)
            if (int(on), by) == (day, person):
                dollars = cost(model, counts, prices)
                total += cost(dearest, counts, prices) or 0 if dollars is None else dollars
    return round(total * 1_000_000)


def cost(model: str, counts: Counts, prices: Prices) -> float | None:
    """US dollars, None for a model without a price."""
    tokens = [getattr(counts, name) for name in Price.__struct_fields__]
    if not any(tokens):
        return 0.0
    known = max((name for name in prices if model.startswith(name)), key=len, default=None)
    if known is None:
        return None
    each = msgspec.structs.astuple(prices[known])
    return sum(count * dollars for count, dollars in zip(tokens, each, strict=True)) / 1_000_000
