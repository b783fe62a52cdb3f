import pytest

from projections.prices import LISTED, Price, cost, spent
from projections.usage import Counts, Row


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


def test_what_a_person_spent_on_a_day_is_summed_over_sessions() -> None:
    million = Counts(output=1_000_000)
    one = Row(counts={"3/7/claude-haiku-4": million, "3/8/claude-haiku-4": million, "2/7/claude-haiku-4": million})
    other = Row(counts={"3/7/claude-sonnet-4": million, "3/7/": Counts(sandbox=9)})
    assert spent([one, other], "7", 3, LISTED) == (5 + 15) * 1_000_000
    assert spent([one], "9", 3, LISTED) == 0


def test_a_model_without_a_price_counts_as_the_dearest() -> None:
    assert spent([Row(counts={"3/7/new": Counts(output=1_000)})], "7", 3, LISTED) == 75_000
