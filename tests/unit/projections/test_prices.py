import pytest

from projections.prices import LISTED, Price, cost
from projections.usage import Counts


def test_each_kind_of_token_has_its_price() -> None:
    price = {"m": Price(input=1, output=10, cache_read=100, cache_write_5m=1000, cache_write_1h=10_000)}
    assert cost(
        "m-1", Counts(input=1, output=2, cache_read=3, cache_write_5m=4, cache_write_1h=5), price
    ) == pytest.approx(54321e-6)


def test_the_longest_name_counts() -> None:
    million = Counts(output=1_000_000)
    assert (cost("claude-opus-4-1", million, LISTED), cost("claude-opus-4-5-x", million, LISTED)) == (75, 25)


def test_an_unknown_model_has_no_price_and_no_tokens_cost_nothing() -> None:
    assert cost("other", Counts(output=1), LISTED) is None
    assert cost("", Counts(sandbox=9), LISTED) == 0
