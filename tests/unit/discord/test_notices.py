"""What owners see of what runs."""

from adapters.discord.notices import sessions
from adapters.discord.split import units
from adapters.discord.texts import LANGUAGES, texts
from engine.session import Session

IDS = [str(1_200_000_000_000_000_000 + number) for number in range(30)]
SAY = texts("en-US")


def one(number: int = 0, *, closing: str = "", thread: str = "200", busy_at: int = 0) -> Session:
    reservation = "r" if busy_at else ""
    return Session(
        id=IDS[number],
        guild="1",
        channel="2",
        starter="7",
        thread=thread,
        closing=closing,
        reservation=reservation,
        ready=bool(busy_at),
        busy_at=busy_at,
    )


def test_nothing_runs() -> None:
    assert sessions([], SAY) == ("No session is open. `/claude start` starts one.", ())


def test_each_session_has_its_line_and_its_button() -> None:
    told, buttons = sessions([one(busy_at=5_000_000), one(1, thread=""), one(2, closing="asked")], SAY)
    title, idle, asking, closing = told.splitlines()
    assert title == "**Open sessions**: 3"
    assert idle.startswith("**1.** <#200> · <@7> · <t:1706172694:R> · ✅ Ready.")
    assert idle.endswith(" · idle since <t:5:R>")
    assert "<#2>" in asking
    assert "idle" not in asking + closing
    assert [(button.label, button.custom_id) for button in buttons] == [
        ("Close 1", f"v1:end:{IDS[0]}:"),
        ("Close 2", f"v1:end:{IDS[1]}:"),
    ]


def test_however_many_there_are_it_is_one_message() -> None:
    for language in LANGUAGES:
        told, buttons = sessions([one(number, busy_at=10**15) for number in range(30)], texts(language))
        assert units(told) <= 2000
        assert "22" in told
        assert len(buttons) == 8
