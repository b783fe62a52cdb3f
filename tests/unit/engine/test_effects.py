"""What each effect reports."""

import pytest

from engine.effects import Performer
from engine.line import Joint
from engine.ports import File, SandboxGone, Uncloned, Unwalled
from engine.session import Session
from engine.todo import (
    Attach,
    DeleteSandbox,
    Deliver,
    Effect,
    HandOver,
    LeaveLine,
    OpenThread,
    PostStarter,
    RestartCli,
    TellOutcome,
)
from schema import events as e
from schema.sealed import Sealed
from tests.unit.engine.given import OPENED, READY, R, after, given
from tests.unit.engine.process import Ports

NOTED = e.Noted(by="1", locale="ja", what="status")


class Context:
    """Keeps what is reported."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.epoch = 1
        self.live = ""
        self.reported: list[e.SessionEvent | Joint] = []

    def say(self, live: str) -> None:
        self.live = live

    async def confirm(self) -> None:
        raise NotImplementedError

    async def changed(self) -> None:
        raise NotImplementedError

    async def report(self, event: e.SessionEvent) -> None:
        self.reported.append(event)

    async def decide_with_slots(self, joint: Joint) -> None:
        self.reported.append(joint)


@pytest.fixture
def ports() -> Ports:
    return Ports()


async def reports(ports: Ports, effect: Effect, session: Session | None = None) -> list[e.SessionEvent | Joint]:
    context = Context(session or given(*READY))
    await Performer(ports, ports, ports).perform(effect, context)
    return context.reported


@pytest.mark.parametrize(
    ("effect", "reported"),
    [
        (PostStarter(), e.StarterPosted(message="m-s")),
        (OpenThread(), e.ThreadOpened(thread="t-s")),
        (LeaveLine(), LeaveLine()),
        (Deliver(reservation=R, life=3, item="stop:1"), e.Delivered(item="stop:1", life=3)),
        (DeleteSandbox(reservation=R), DeleteSandbox(reservation=R)),
        (HandOver(reservation=R), e.HandedOver(how="empty")),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_effect_reports_what_came_of_it(ports: Ports, effect: Effect, reported: object) -> None:
    assert await reports(ports, effect) == [reported]


async def test_a_cli_that_is_started_again_tells_by_its_journal(ports: Ports) -> None:
    assert await reports(ports, RestartCli(reservation=R, life=1)) == []
    assert ports.calls == ["restart"]


async def test_a_sandbox_is_seen_gone_before_its_slot_is_given_back(ports: Ports) -> None:
    await reports(ports, DeleteSandbox(reservation=R))
    assert ports.calls == ["delete"]


async def test_who_did_something_is_told(ports: Ports) -> None:
    session = after(given(*READY), NOTED, cause=7)
    assert await reports(ports, TellOutcome(to=7), session) == [e.Replied(to=7)]
    assert ports.calls == ["tell status with disk 7"]


async def test_who_asks_how_it_stands_is_told_what_the_sandbox_uses(ports: Ports) -> None:
    def told(*events: e.SessionEvent) -> Session:
        return after(given(*events), NOTED, cause=7)

    await reports(ports, TellOutcome(to=7), told(*READY))
    await reports(ports, TellOutcome(to=7), told(*OPENED))
    assert ports.calls == ["tell status with disk 7", "tell status"]


async def test_a_reply_that_was_told_meanwhile_is_not_told_again(ports: Ports) -> None:
    assert await reports(ports, TellOutcome(to=7)) == []
    assert ports.calls == []


@pytest.mark.parametrize(("gone", "why"), [(SandboxGone("gone"), "gone"), (SandboxGone("137", "memory"), "memory")])
async def test_a_sandbox_that_is_gone_is_lost(ports: Ports, gone: SandboxGone, why: str) -> None:
    ports.plan("attach", gone)
    assert await reports(ports, Attach(reservation=R)) == [e.SandboxLost(reservation=R, why=why, detail=str(gone))]


async def test_a_sandbox_that_is_not_walled_off_is_told_and_lost(ports: Ports) -> None:
    checks = (e.Check(wall="api", found="open", address="10.96.0.1:443"), e.Check(wall="dns", found="closed"))
    ports.plan("attach", Unwalled(checks))
    assert await reports(ports, Attach(reservation=R)) == [
        e.SandboxProbed(reservation=R, checks=checks),
        e.SandboxLost(reservation=R, why="walls", detail=str(Unwalled(checks))),
    ]
    assert str(Unwalled(checks)) == "the sandbox reaches what must be closed to it: api (10.96.0.1:443)"


async def test_a_repository_that_cannot_be_cloned_is_told_and_the_sandbox_goes(ports: Ports) -> None:
    ports.plan("attach", Uncloned("auth", Sealed(b"said")))
    assert await reports(ports, Attach(reservation=R)) == [
        e.RepoFailed(reservation=R, why="auth", said=Sealed(b"said")),
        e.SandboxLost(reservation=R, why="repo"),
    ]
    assert str(Uncloned("auth", None)) == "the repository could not be cloned: auth"


async def test_what_a_session_made_is_posted(ports: Ports) -> None:
    ports.files = [File(name="patch", data=b"")]
    assert await reports(ports, HandOver(reservation=R)) == [e.HandedOver(how="posted", files=1)]
    assert ports.calls == ["collect", "post files"]


@pytest.mark.parametrize(
    ("room", "told"),
    [(9, e.HandedOver(how="kept", files=2)), (1, e.HandedOver(how="kept", files=1)), (0, e.HandedOver(how="lost"))],
)
async def test_what_cannot_be_posted_is_kept_as_far_as_there_is_room(
    ports: Ports, room: int, told: e.HandedOver
) -> None:
    ports.files = [File(name="patch", data=b""), File(name="zip", data=b"")]
    ports.how, ports.room = "kept", room
    assert await reports(ports, HandOver(reservation=R)) == [told]
    assert ports.calls == ["collect", "post files", "keep 2"]


async def test_what_was_in_a_sandbox_that_is_gone_is_lost(ports: Ports) -> None:
    ports.plan("collect", SandboxGone("gone"))
    assert await reports(ports, HandOver(reservation=R)) == [e.HandedOver(how="lost")]
