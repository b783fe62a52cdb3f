"""What one stream asks of another."""

from engine import mail
from engine.commands import Context, NoteEgress
from schema import events as e
from schema.envelope import Recorded

REFUSED = e.EgressRefused(session="s", reservation="s-1", host="a.example:443")


def recorded(event: e.Event) -> Recorded:
    return Recorded(
        position=9, stream="egress:s", version=1, at=5, actor="gateway", cause=0, key=None, hash=b"", event=event
    )


def test_a_host_that_the_gateway_refused_is_work_for_its_session() -> None:
    assert mail.recipient(REFUSED) == "session:s"
    assert mail.command(recorded(REFUSED)) == (NoteEgress(host=REFUSED.host), Context(at=5, cause=9))


def test_what_concerns_nobody_else_is_work_for_nobody() -> None:
    event = e.Released(reservation="s-1")
    assert mail.recipient(event) is None
    assert mail.command(recorded(event)) is None
