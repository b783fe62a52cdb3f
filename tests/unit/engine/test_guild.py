"""Who is what in a server (P6), who asks to be let in, and what people there should be told."""

import msgspec
import pytest

from engine.commands import (
    AddMember,
    AskAccess,
    Confirm,
    Context,
    DecideAccess,
    DeleteMember,
    EndSessions,
    GuildCommand,
    GuildReport,
    ListMembers,
    ListSessions,
    Policy,
    Reason,
    Reject,
    Role,
    SeeServer,
    Tick,
)
from engine.guild import REPLY_LIFE, Guild, Notice, Removal, deadlines, evolve, todo
from engine.guild_decide import decide, install
from engine.retry import LONGEST
from engine.todo import Wanted
from schema import events as e

OWNER, USER, STRANGER, OTHER = "1", "2", "3", "4"
DAY = 24 * 3600 * 1_000_000
POLICY = Policy(access_ttl=7 * DAY, access_again=DAY, access_limit=2)
SERVER = e.ServerOwned(person=OWNER, channel="news")
OWNED = e.OwnerConfirmed(person=OWNER, how="discord")
HAS_USER = (OWNED, e.RoleGiven(person=USER, role="user", by=OWNER))
ASKED = e.AccessRequested(request="s", by=STRANGER, locale="ja", channel="c", received=5, expires=7 * DAY)
APPROVED = e.AccessDecided(request="s", person=STRANGER, by=OWNER, choice="approved", received=5)
DENIED = e.AccessDecided(request="s", person=STRANGER, by=OWNER, choice="denied", received=5, again=DAY + 1)
LEFT = e.AccessDecided(request="s", person=STRANGER, by=OWNER, choice="left", received=5)
EXPIRED = e.AccessDecided(request="s", person=STRANGER, by="", choice="expired", received=5)


def given(*events: e.Event, at: int = 0, cause: int = 0) -> Guild:
    guild = Guild()
    for event in events:
        guild = evolve(guild, event, stream="guild:g", at=at, cause=cause)
    return guild


def when(guild: Guild, command: GuildCommand | e.GuildEvent, *, by: str = OWNER, at: int = 0) -> list[e.GuildEvent]:
    if isinstance(command, GuildCommand):
        return decide(guild, command, Context(at=at, by=by, locale="ja", cause=7, policy=POLICY))
    return decide(guild, GuildReport(event=command), Context(at=at, policy=POLICY))


def refused(reason: str, detail: str = "", by: str = OWNER) -> list[e.GuildRefused]:
    return [e.GuildRefused(by=by, locale="ja", reason=reason, detail=detail)]


def noted(what: str, detail: str = "", by: str = OWNER) -> e.GuildNoted:
    return e.GuildNoted(by=by, locale="ja", what=what, detail=detail)


def asks(request: str = "s", received: int = 5) -> AskAccess:
    return AskAccess(request=request, channel="c", received=received)


def told(guild: Guild) -> list[tuple[int, str]]:
    return [(reply.to, reply.what) for reply in guild.replies]


def shown(guild: Guild) -> list[str]:
    return [one.effect.key for one in todo(guild)]


# --- the first owner -------------------------------------------------------------------------------------------------


def test_whom_the_settings_name_is_an_owner() -> None:
    named = [e.OwnerConfirmed(person=one, how="settings") for one in (OWNER, USER)]
    assert install(given(), (OWNER, USER, OWNER)) == named
    assert install(given(*named), (OWNER, USER)) == []
    assert install(given(*HAS_USER), (USER,)) == [named[1]]


def test_whom_owners_removed_the_settings_do_not_bring_back() -> None:
    both = (OWNED, e.OwnerConfirmed(person=USER, how="settings"))
    assert install(given(*both, e.RoleTaken(person=USER, role="owner", by=OWNER)), (USER,)) == []
    again = e.RoleGiven(person=USER, role="owner", by=OWNER)
    assert given(*both, e.RoleTaken(person=USER, role="owner", by=OWNER), again).owners == (OWNER, USER)


def test_the_servers_owner_is_asked_and_confirms() -> None:
    asked = given(SERVER)
    assert shown(asked) == [f"notice:confirm:{OWNER}"]
    assert when(asked, Confirm()) == [OWNED, noted("confirmed")]
    after = given(SERVER, OWNED)
    notice = after.notice(f"confirm:{OWNER}")
    assert notice
    assert (after.role(OWNER), notice.choice, notice.rev) == (Role.OWNER, "confirmed", 2)


def test_the_servers_owner_may_confirm_when_nobody_else_did_and_nobody_else_may() -> None:
    assert when(given(SERVER), Confirm(), by=STRANGER) == refused("confirm_other", by=STRANGER)
    assert when(given(), Confirm(), by="") == refused("confirm_other", by="")
    assert when(given(SERVER, e.OwnerConfirmed(person=USER, how="settings")), Confirm()) == refused("already")
    assert when(given(SERVER, OWNED), Confirm()) == [noted("confirmed")]


def test_what_the_first_owner_asked_for_runs_when_they_confirm() -> None:
    (asked,) = when(given(SERVER), asks())
    waiting = given(SERVER, asked, at=9)
    assert told(waiting) == [(5, "access-confirm")]
    decided = e.AccessDecided(request="s", person=OWNER, by=OWNER, choice="approved", received=5)
    assert when(waiting, Confirm()) == [OWNED, noted("confirmed"), decided]
    assert [one.kind for one in given(SERVER, asked, OWNED, decided).notices] == ["confirm", "access"]


def test_a_server_that_changes_hands_asks_its_new_owner() -> None:
    moved = SeeServer(person=USER, channel="news")
    assert when(given(SERVER), moved, by="") == [e.ServerOwned(person=USER, channel="news")]
    after = given(SERVER, e.ServerOwned(person=USER, channel="news"))
    assert [(one.part, one.choice) for one in after.notices] == [("confirm:1", "withdrawn"), ("confirm:2", "")]
    assert given(SERVER, OWNED, e.ServerOwned(person=USER, channel="")).notice("confirm:2") is None
    same = SeeServer(person=OWNER, channel="news")
    assert when(given(SERVER), same, by="") == [noted("server", by="")]


@pytest.mark.parametrize("command", [ListMembers(), AddMember(person=USER, role=Role.USER)])
def test_who_could_confirm_is_asked_whatever_they_do(command: GuildCommand) -> None:
    assert when(given(SERVER), command) == refused("confirm_first")


# --- access ----------------------------------------------------------------------------------------------------------


def test_a_stranger_asks_and_the_owners_are_shown_it() -> None:
    assert when(given(OWNED), asks(), by=STRANGER) == [ASKED]
    asked = given(OWNED, ASKED, at=9)
    assert told(asked) == [(5, "access-asked")]
    assert asked.notices == (
        Notice(
            part="access:s", channel="c", locale="ja", person=STRANGER, to=(OWNER,), request="s", expires=ASKED.expires
        ),
    )
    assert ASKED.expires in deadlines(asked)


def test_where_there_is_no_owner_the_servers_is_called() -> None:
    (asked,) = when(given(SERVER), asks(), by=STRANGER)
    after = given(SERVER, asked)
    notice = after.notice("access:s")
    assert notice
    assert (told(after), notice.to) == ([(5, "access-ownerless")], (OWNER,))
    (asked,) = when(given(), asks(), by=STRANGER)
    assert [one.to for one in given(asked).notices] == [()]


def test_an_owner_lets_somebody_in_and_what_they_asked_for_runs() -> None:
    waiting = given(OWNED, ASKED)
    approve = DecideAccess(request="s", choice="approved")
    assert when(waiting, approve) == [e.RoleGiven(person=STRANGER, role="user", by=OWNER), APPROVED]
    after = given(OWNED, ASKED, e.RoleGiven(person=STRANGER, role="user", by=OWNER), APPROVED)
    assert (after.role(STRANGER), after.requests) == (Role.USER, {})
    assert [(one.part, one.choice, one.to) for one in after.notices] == [
        ("access:s", "approved", (OWNER,)),
        ("welcome:s", "", (STRANGER,)),
    ]


def test_whoever_left_is_not_let_in_and_may_ask_again_at_once() -> None:
    press = DecideAccess(request="s", choice="approved", here=False)
    assert when(given(OWNED, ASKED), press) == [*refused("left", STRANGER), LEFT]
    assert when(given(OWNED, ASKED), msgspec.structs.replace(press, here=None)) == refused("unsure", STRANGER)
    after = given(OWNED, ASKED, LEFT)
    assert (after.role(STRANGER), after.requests, after.again) == (Role.STRANGER, {}, {})
    assert [(one.part, one.choice, one.decided_by) for one in after.notices] == [("access:s", "left", OWNER)]
    assert told(after) == [(5, "access-asked")]


def test_an_owner_says_no_and_they_may_ask_again_later() -> None:
    assert when(given(OWNED, ASKED), DecideAccess(request="s", choice="denied"), at=1) == [DENIED]
    denied = given(OWNED, ASKED, DENIED)
    assert told(denied) == [(5, "access-denied")]
    soon = when(denied, asks("s2"), by=STRANGER, at=DAY)
    assert soon == refused("access_soon", str((DAY + 1) // 1_000_000), by=STRANGER)
    assert isinstance(when(denied, asks("s2"), by=STRANGER, at=DAY + 1)[0], e.AccessRequested)
    other = e.AccessDecided(request="x", person=OTHER, by=OWNER, choice="denied", received=1, again=9 * DAY)
    assert evolve(denied, other, stream="guild:g", at=2 * DAY, cause=0).again == {OTHER: 9 * DAY}


def test_whoever_is_let_in_after_a_no_need_not_wait() -> None:
    assert given(OWNED, ASKED, DENIED, e.RoleGiven(person=STRANGER, role="user", by=OWNER)).again == {}


def test_a_no_that_comes_too_late_for_a_private_answer_is_not_told() -> None:
    late = evolve(given(OWNED, ASKED), DENIED, stream="guild:g", at=REPLY_LIFE, cause=0)
    assert told(late) == [(5, "access-asked")]


def test_a_request_is_decided_once() -> None:
    over = refused("access_over")
    for choice in ("approved", "denied"):
        assert when(given(OWNED, ASKED, APPROVED), DecideAccess(request="s", choice=choice)) == over
    assert given(OWNED, APPROVED).notices == ()


def test_a_request_expires() -> None:
    waiting = given(OWNED, ASKED, at=7 * DAY)
    assert when(waiting, Tick(), by="", at=7 * DAY) == [EXPIRED]
    press = DecideAccess(request="s", choice="approved")
    assert when(waiting, press, at=7 * DAY) == [*refused("access_over"), EXPIRED]
    assert told(given(OWNED, ASKED, EXPIRED)) == [(5, "access-expired")]


@pytest.mark.parametrize(("by", "reason"), [(STRANGER, "stranger"), (OTHER, "stranger"), (USER, "owners_only")])
def test_only_owners_decide_about_requests(by: str, reason: str) -> None:
    waiting = given(*HAS_USER, ASKED)
    assert when(waiting, DecideAccess(request="s", choice="approved"), by=by) == refused(reason, by=by)


def test_nobody_asks_twice_at_once() -> None:
    assert when(given(OWNED, ASKED), asks("s2"), by=STRANGER) == refused("access_pending", by=STRANGER)


def test_owners_are_not_flooded() -> None:
    second = e.AccessRequested(request="t", by=OTHER, locale="ja", channel="c", received=6, expires=7 * DAY)
    assert when(given(OWNED, ASKED, second), asks("u"), by="5") == refused("access_full", by="5")


def test_whoever_became_a_member_meanwhile_is_let_in_at_once() -> None:
    decided = e.AccessDecided(request="s", person=USER, by=USER, choice="approved", received=5)
    assert when(given(*HAS_USER), asks(), by=USER) == [decided]


# --- members ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.USER, Role.OWNER])
def test_owners_add_users_and_owners(role: Role) -> None:
    added = [e.RoleGiven(person=STRANGER, role=role, by=OWNER), noted(f"given-{role}", STRANGER)]
    assert when(given(OWNED), AddMember(person=STRANGER, role=role)) == added
    assert given(OWNED, *added).role(STRANGER) is role


def test_adding_somebody_lets_them_in_who_asked() -> None:
    assert when(given(OWNED, ASKED), AddMember(person=STRANGER, role=Role.USER))[2:] == [APPROVED]


def test_a_user_can_be_made_an_owner() -> None:
    assert when(given(*HAS_USER), AddMember(person=USER, role=Role.OWNER))[0] == e.RoleGiven(
        person=USER, role="owner", by=OWNER
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (AddMember(person=STRANGER, role=Role.USER, bot=True), "is_bot"),
        (AddMember(person=STRANGER, role=Role.USER, here=False), "not_here"),
        (AddMember(person=USER, role=Role.USER), "is_member"),
        (AddMember(person=OWNER, role=Role.USER), "is_owner"),
        (AddMember(person=OWNER, role=Role.OWNER), "is_owner"),
        (DeleteMember(person=STRANGER, role=Role.USER), "not_member"),
        (DeleteMember(person=STRANGER, role=Role.OWNER), "not_member"),
        (DeleteMember(person=USER, role=Role.OWNER), "not_owner"),
        (DeleteMember(person=OWNER, role=Role.USER), "is_owner"),
    ],
)
def test_what_owners_cannot_do(command: AddMember | DeleteMember, reason: str) -> None:
    assert when(given(*HAS_USER), command) == refused(reason, command.person)


def test_there_is_always_an_owner() -> None:
    assert when(given(*HAS_USER), DeleteMember(person=OWNER, role=Role.OWNER)) == refused("last_owner")


def test_an_owner_becomes_a_user_and_a_user_a_stranger() -> None:
    both = (OWNED, e.OwnerConfirmed(person=USER, how="settings"))
    taken = [e.RoleTaken(person=USER, role="owner", by=OWNER), noted("taken-owner", USER)]
    assert when(given(*both), DeleteMember(person=USER, role=Role.OWNER)) == taken
    assert given(*both, *taken).role(USER) is Role.USER
    gone = [e.RoleTaken(person=USER, role="user", by=OWNER), noted("taken-user", USER)]
    assert when(given(*both, *taken), DeleteMember(person=USER, role=Role.USER)) == gone
    assert given(*both, *taken, *gone).role(USER) is Role.STRANGER


@pytest.mark.parametrize(
    "command", [AddMember(person=OTHER, role=Role.USER), DeleteMember(person=USER, role=Role.USER)]
)
@pytest.mark.parametrize(("by", "reason"), [(USER, "owners_only"), (STRANGER, "stranger")])
def test_only_owners_change_members(command: GuildCommand, by: str, reason: str) -> None:
    assert when(given(*HAS_USER), command, by=by) == refused(reason, by=by)


@pytest.mark.parametrize("by", [OWNER, USER])
def test_members_see_who_is(by: str) -> None:
    assert when(given(*HAS_USER), ListMembers(), by=by) == [noted("members", by=by)]


def test_owners_see_what_runs() -> None:
    assert when(given(*HAS_USER), ListSessions()) == [noted("sessions")]
    assert when(given(*HAS_USER), ListSessions(), by=USER) == refused("owners_only", by=USER)


def test_strangers_do_not() -> None:
    assert when(given(*HAS_USER), ListMembers(), by=STRANGER) == refused("stranger", by=STRANGER)


def test_what_could_not_be_understood_is_refused() -> None:
    assert when(given(), Reject(reason=Reason.MALFORMED)) == refused("malformed")


# --- what ends with a member -----------------------------------------------------------------------------------------

TAKEN = e.RoleTaken(person=USER, role="user", by=OWNER)


def test_whoever_is_removed_leaves_nothing_running() -> None:
    leaving = given(*HAS_USER, TAKEN, cause=9)
    assert (leaving.leaving, shown(leaving)) == ({USER: Removal(by=OWNER, cause=9)}, [f"dismiss:{USER}"])
    told = [
        e.Dismissed(session="s", person=USER, by=OWNER),
        e.Dismissed(session="t", person=USER, by=OWNER),
        e.Cleared(person=USER),
    ]
    ended = EndSessions(person=USER, sessions=("s", "t"))
    assert when(leaving, ended, by="") == told
    assert shown(given(*HAS_USER, TAKEN, *told)) == []
    assert when(given(*HAS_USER, TAKEN, *told), ended, by="") == []
    assert shown(given(OWNED, e.RoleTaken(person=USER, role="owner", by=OWNER))) == []


def test_nobody_comes_back_before_what_they_had_was_ended() -> None:
    """Else it could not be told from what they begin then."""
    leaving = given(*HAS_USER, ASKED, TAKEN, e.RoleGiven(person=STRANGER, role="user", by=OWNER))
    assert when(leaving, AddMember(person=USER, role=Role.USER)) == refused("leaving", USER)
    asked = msgspec.structs.replace(ASKED, by=USER)
    press = DecideAccess(request="s", choice="approved")
    assert when(given(*HAS_USER, TAKEN, asked), press) == refused("leaving", USER)
    assert len(when(given(*HAS_USER, TAKEN, e.Cleared(person=USER), asked), press)) == 2


def test_ending_what_they_had_is_never_given_up() -> None:
    never = e.GuildEffectFailed(what=f"dismiss:{USER}", attempt=9, why="no", retry=None)
    later = msgspec.structs.replace(never, retry=5 + LONGEST)
    assert when(given(*HAS_USER, TAKEN), never, at=5) == [later]


# --- what is told and shown ------------------------------------------------------------------------------------------


def test_outcomes_are_told_to_whoever_wanted_them() -> None:
    guild = given(*refused("owners_only"), cause=7)
    assert told(guild) == [(7, "refused-owners_only")]
    assert when(guild, e.GuildReplied(to=7)) == [e.GuildReplied(to=7)]
    assert given(*refused("owners_only"), e.GuildReplied(to=7), cause=7).replies == ()
    assert when(given(), e.GuildReplied(to=7)) == []
    assert when(guild, Tick(), by="", at=REPLY_LIFE) == [e.GuildReplied(to=7, late=True)]
    assert told(given(noted("server", by=""), cause=7)) == []


def test_a_notice_is_shown_as_it_is_now() -> None:
    first = e.NoticeShown(part="access:s", message="m", rev=1)
    assert when(given(OWNED, ASKED), first) == [first]
    assert shown(given(OWNED, ASKED, first)) == ["reply:5"]
    assert shown(given(OWNED, ASKED, first, DENIED)) == ["notice:access:s", "reply:5"]
    assert given(OWNED, ASKED, first, DENIED, e.NoticeShown(part="access:s", message="m", rev=2)).notices == ()
    assert when(given(OWNED), first) == []


def test_what_cannot_be_shown_is_tried_again_and_given_up_for_good() -> None:
    key = "notice:access:s"
    again = e.GuildEffectFailed(what=key, attempt=1, why="no", retry=50)
    waiting = given(OWNED, ASKED)
    assert when(waiting, again) == [again]
    once = given(OWNED, ASKED, again, at=9)
    assert (todo(once)[0].since, once.failures[key].since) == (50, 9)
    assert evolve(once, again, stream="guild:g", at=60, cause=0).failures[key].since == 9
    never = e.GuildEffectFailed(what=key, attempt=2, why="no", retry=None)
    lost = [never, e.NoticeShown(part="access:s", message="", rev=1)]
    assert when(once, never) == lost
    after = given(OWNED, ASKED, again, *lost)
    assert (shown(after), after.failures, list(after.requests)) == (["reply:5"], {}, ["s"])
    assert when(given(OWNED), again) == []


def test_an_answer_that_cannot_be_given_is_late() -> None:
    never = e.GuildEffectFailed(what="reply:7", attempt=1, why="no", retry=None)
    guild = given(*refused("owners_only"), cause=7)
    assert when(guild, never) == [never, e.GuildReplied(to=7, late=True)]
    given_up = evolve(guild, never, stream="guild:g", at=0, cause=0)
    assert todo(given_up) == ()
    assert all(isinstance(one, Wanted) for one in todo(guild))


def test_events_of_others_only_count() -> None:
    assert given(e.Left(session="s")) == Guild(id="g", version=1)
    assert when(given(), e.RoleGiven(person=USER, role="user", by=OWNER)) == []
