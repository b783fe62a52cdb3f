"""What the ports' errors and values say, and what they do not."""

from engine.ports import Duplicate, SandboxSpec, Settled, VersionConflict


def test_a_refusal_says_what_was_refused() -> None:
    assert str(VersionConflict("slots")) == "slots has moved on"
    assert str(Duplicate("i1", 7)) == "i1 is at position 7 already"
    assert str(Settled("session:s", 7)) == "position 7 has its outcome in session:s already"


def test_what_a_sandbox_is_given_is_never_printed() -> None:
    assert "secret" not in repr(SandboxSpec(reservation="s-1", session="s", config=b"secret"))
