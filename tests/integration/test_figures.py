"""`make bench` does not rot: every figure is measured once here, of next to nothing. What it says is of no use then."""

import json

import pytest

from tests.databases import Databases
from tests.load import bench, figures

NAMES = {
    *(f"{kind}_{actors}" for kind in ("append", "plain_append") for actors in (1, 32, 256)),
    *("read_stream", "replay", "ack", "ack_burst_200", "idle_actor_bytes", "wake_up", "restart_1000", "line_to_edit"),
    *("rebuild", "exact_view", "follow_lag", "follow_lag_elsewhere", "state_at", "verify"),
}
PODS = {"pod", "pod_line"}
"""Not measured here: they need a cluster."""
PAGE = {"page_2000", "page_painted", "page_stream"}
"""Not measured here: what they do is what the tests of the browser do, and takes as long at any scale."""


def test_every_figure_is_there() -> None:
    assert set(figures.FIGURES) == NAMES | PAGE | PODS


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_a_figure_can_be_measured(pg_server: Databases, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    await bench.run(figures.Bench(pg_server, rounds=1, seconds=0.05, scale=0.01), [name])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(told) == {"figure", "ratio", "lo", "hi", "baseline"}
    assert told["figure"] == name
    assert told["ratio"] > 0
