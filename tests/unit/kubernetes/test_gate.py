"""When a sandbox passes the gate: what was seen from inside against what somebody else saw at the same time."""

from collections.abc import Sequence

import anyio
import pytest

from adapters.kubernetes import gate
from adapters.kubernetes.gate import Gate, Place
from adapters.kubernetes.probe import CONNECTED, NOWHERE, REFUSED, SILENT, UNREACHABLE, Target
from engine.ports import SandboxGone, TryAgain, Unwalled
from schema.events import Check

GATEWAY = Place(wall="gateway", host="10.0.0.9", port=8080)


class Seen:
    """Somebody who finds this, and in later looks that; what was asked is kept."""

    def __init__(self, *looks: dict[str, str]) -> None:
        self.looks = list(looks)
        self.asked: list[Sequence[Target]] = []

    async def __call__(self, targets: Sequence[Target], seconds: float) -> Sequence[str]:
        self.asked.append(targets)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return [look.get(target.host, SILENT) for target in targets]


def behind(witness: Seen, host: str = "10.0.0.1", wall: str = "api") -> Place:
    return Place(wall=wall, host=host, port=443, witness=witness)


async def passed(inside: Seen, *closed: Place, enforce: bool = True) -> Sequence[Check]:
    return await Gate(closed[1:], [GATEWAY], enforce=enforce).pass_through("1-2", inside, closed[:1])


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(gate, "_PAUSE_SECONDS", 0)


@pytest.mark.parametrize(
    ("seen", "control", "found"),
    [
        (SILENT, CONNECTED, "closed"),
        (SILENT, REFUSED, "closed"),
        (UNREACHABLE, CONNECTED, "closed"),
        (SILENT, SILENT, "unshown"),
        (SILENT, NOWHERE, "unshown"),
        (UNREACHABLE, UNREACHABLE, "unshown"),
        (NOWHERE, SILENT, "closed"),
    ],
)
async def test_a_wall_holds_if_only_somebody_else_reaches_what_is_behind_it(
    seen: str, control: str, found: str
) -> None:
    inside = Seen({"10.0.0.1": seen, "10.0.0.9": CONNECTED})
    assert await passed(inside, behind(Seen({"10.0.0.1": control}))) == [
        Check(wall="api", found=found, address="10.0.0.1:443"),
        Check(wall="gateway", found="reached", address="10.0.0.9:8080"),
    ]


@pytest.mark.parametrize("seen", [CONNECTED, REFUSED])
@pytest.mark.parametrize("control", [CONNECTED, SILENT])
async def test_what_is_reached_or_refused_is_open_whoever_else_reaches_it(seen: str, control: str) -> None:
    inside = Seen({"10.0.0.1": seen, "10.0.0.9": CONNECTED})
    with pytest.raises(Unwalled, match=r"reaches what must be closed to it: api \(10\.0\.0\.1:443\)$") as refused:
        await passed(inside, behind(Seen({"10.0.0.1": control})))
    assert [check.found for check in refused.value.checks] == ["open", "reached"]


async def test_a_policy_that_takes_effect_a_moment_later_is_waited_for() -> None:
    reached = {"10.0.0.9": CONNECTED}
    inside = Seen({"10.0.0.1": CONNECTED, **reached}, {"10.0.0.1": REFUSED}, reached)
    checks = await passed(inside, behind(Seen({"10.0.0.1": CONNECTED})))
    assert [check.found for check in checks] == ["closed", "reached"]
    assert len(inside.asked) == 3


async def test_where_it_may_only_warn_an_open_wall_is_told_and_no_more() -> None:
    inside = Seen({"10.0.0.1": CONNECTED, "10.0.0.9": CONNECTED})
    checks = await passed(inside, behind(Seen({"10.0.0.1": CONNECTED})), enforce=False)
    assert [check.found for check in checks] == ["open", "reached"]


@pytest.mark.parametrize("seen", [SILENT, REFUSED, NOWHERE])
@pytest.mark.parametrize("enforce", [True, False])
async def test_without_the_gateway_a_sandbox_is_of_no_use(seen: str, *, enforce: bool) -> None:
    inside = Seen({"10.0.0.9": seen})
    with pytest.raises(TryAgain, match=r"does not reach the gateway at 10\.0\.0\.9:8080"):
        await passed(inside, behind(Seen({"10.0.0.1": CONNECTED})), enforce=enforce)


async def test_a_witness_that_is_gone_or_says_nothing_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_WITNESS_SECONDS", 0)
    monkeypatch.setattr(gate, "_SECONDS", 0.01)

    async def gone(targets: Sequence[Target], seconds: float) -> Sequence[str]:
        raise SandboxGone("gone")

    async def silent(targets: Sequence[Target], seconds: float) -> Sequence[str]:
        await anyio.sleep_forever()
        raise AssertionError

    inside = Seen({"10.0.0.9": CONNECTED})
    near = [Place(wall="sandbox", host=f"10.0.0.{n}", port=80, witness=one) for n, one in enumerate((gone, silent), 3)]
    with anyio.fail_after(5):
        checks = await passed(inside, *near)
    assert [check.found for check in checks] == ["unshown", "unshown", "reached"]


async def test_a_look_that_fails_is_tried_again_later_by_whoever_starts_it() -> None:
    async def inside(targets: Sequence[Target], seconds: float) -> Sequence[str]:
        raise TryAgain("the link broke")

    async def silent(targets: Sequence[Target], seconds: float) -> Sequence[str]:
        await anyio.sleep_forever()
        raise AssertionError

    place = Place(wall="sandbox", host="10.0.0.3", port=80, witness=silent)
    with pytest.raises(TryAgain, match="the link broke"):
        await Gate([], [GATEWAY], enforce=True).pass_through("1-2", inside, [place])
