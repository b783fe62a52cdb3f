"""From payloads to commands: everything people can send, and everything that they cannot but somebody will."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.discord.translate import DiscordTranslator
from engine import commands as c
from schema.envelope import Recorded
from schema.events import Event, Granted, Received
from tests.property.boxes import Keys, box, unbox
from tests.property.profile import PROFILE


def recorded(event: Event) -> Recorded:
    return Recorded(
        position=5, stream="inbox:x", version=1, at=9, actor="person:7", cause=0, key=None, hash=b"", event=event
    )


def received(what: str, payload: Any, discord_id: str = "300", locale: str = "ja", session: str = "100") -> Recorded:
    raw = payload if isinstance(payload, str) else json.dumps(payload)
    return recorded(
        Received(
            what=what,
            discord_id=discord_id,
            session=session,
            by="7",
            locale=locale,
            guild="1",
            channel="2",
            raw=box(raw),
        )
    )


async def decode(what: str, payload: Any, **more: Any) -> c.Command | c.GuildCommand:
    return (await DiscordTranslator(Keys()).translate(received(what, payload, **more)))[0]


def slash(name: str, *options: dict[str, Any]) -> dict[str, Any]:
    return {"id": "300", "data": {"name": "claude", "options": [{"name": name, "type": 1, "options": list(options)}]}}


def press(custom_id: str) -> dict[str, Any]:
    return {"id": "300", "data": {"custom_id": custom_id}}


def text(said: str) -> c.Text:
    return c.Text(sealed=box(said), size=len(said))


async def test_the_context_is_who_when_and_in_answer_to_what() -> None:
    keys = Keys()
    _, context = await DiscordTranslator(keys).translate(received("message", {"content": "hi"}))
    assert (context.at, context.by, context.locale, context.cause) == (9, "7", "ja", 5)
    assert keys.prepared == [("session:100", "7")]


async def test_commands() -> None:
    assert await decode("command", slash("start")) == c.Start(guild="1", channel="2")
    prompt = {"name": "prompt", "type": 3, "value": "do it"}
    assert await decode("command", slash("start", prompt)) == c.Start(
        guild="1", channel="2", prompt="300", text=text("do it")
    )
    where = {"name": "repo", "type": 3, "value": " Owner/Name "}
    repo = c.Repo(sealed=box("https://github.com/Owner/Name"), host="github.com")
    assert await decode("command", slash("start", prompt, where)) == c.Start(
        guild="1", channel="2", prompt="300", text=text("do it"), repo=repo
    )
    assert await decode("command", slash("start", {**where, "value": "https://me:token@host.example/a/b"})) == c.Start(
        guild="1", channel="2", repo=c.Repo(sealed=box(""), host="")
    )
    assert await decode("command", slash("stop")) == c.Stop()
    assert await decode("command", slash("status")) == c.ShowStatus()
    assert await decode("command", slash("audit")) == c.TellStory()
    assert await decode("command", slash("close")) == c.Close()
    assert await decode("command", slash("share")) == c.Share(shared=True)
    assert await decode("command", slash("unshare")) == c.Share(shared=False)


@pytest.mark.parametrize(
    ("custom_id", "meant"),
    [
        ("v1:stop:100:4", c.Stop(turn=4)),
        ("v1:allow:100:req:1", c.Answer(request="req:1", choice="allow")),
        ("v1:always:100:r", c.Answer(request="r", choice="always")),
        ("v1:deny:100:r", c.Answer(request="r", choice="deny")),
        ("v1:remove:100:250", c.Remove(prompt="250")),
        ("v1:close:100:", c.Close()),
        ("v1:end:100:", c.Close()),
        ("v1:leave:100:", c.Leave()),
        ("v1:keep:100:3", c.Keep(question=3)),
        ("v1:keep:100:x", c.Reject(reason=c.Reason.MALFORMED)),
        ("v1:end:999:", c.Reject(reason=c.Reason.MALFORMED)),
        ("v1:again:100:", c.Start(guild="1", channel="2")),
        ("v1:retry:100:4", None),
        ("v1:continue:100:4", None),
        ("v1:stop:999:4", c.Reject(reason=c.Reason.MALFORMED)),
        ("v1:stop:100:four", c.Reject(reason=c.Reason.MALFORMED)),
        ("v9:stop:100:4", c.Reject(reason=c.Reason.MALFORMED)),
        ("", c.Reject(reason=c.Reason.MALFORMED)),
    ],
)
async def test_buttons(custom_id: str, meant: c.Command | None) -> None:
    command = await decode("component", press(custom_id))
    if meant is not None:
        assert command == meant
        return
    assert isinstance(command, c.Resolve)
    assert (command.turn, command.choice, command.prompt) == (4, custom_id.split(":")[1], "300")
    assert "途中で切れ" in unbox(command.text.sealed)


async def test_messages() -> None:
    assert await decode("message", {"id": "300", "content": "hi"}) == c.Submit(prompt="300", text=text("hi"))
    edited = {"id": "300", "content": "ho"}
    assert await decode("edit", edited) == c.Edit(prompt="300", text=text("ho"))
    assert await decode("delete", {"id": "300"}) == c.Remove(prompt="300")


async def test_a_long_paste_is_its_text_and_other_files_are_named() -> None:
    pasted = {"content": "", "attachments": [{"filename": "message.txt"}], "fetched": "x" * 5000}
    assert await decode("message", pasted) == c.Submit(prompt="300", text=text("x" * 5000))
    command = await decode("message", {"content": "see", "attachments": [{"filename": "a.png"}, {"filename": "b.csv"}]})
    assert isinstance(command, c.Submit)
    assert unbox(command.text.sealed) == "see\n\n(Attached, but not readable here yet: a.png, b.csv)"
    alone = await decode("message", {"content": "", "attachments": [{"filename": "a.png"}]})
    assert isinstance(alone, c.Submit)
    assert alone.text.size == 0


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("a\0b", "ab"),
        ("half \ud83d of an emoji", "half ? of an emoji"),
        ("👍", "👍"),
        ("\u200fשלום\u202e", "\u200fשלום\u202e"),
        ("@everyone", "@everyone"),
        ("x" * 100_000, "x" * 100_000),
    ],
)
async def test_hostile_text_is_given_as_it_is_where_programs_can_take_it(said: str, given: str) -> None:
    command = await decode("message", {"content": said})
    assert isinstance(command, c.Submit)
    assert unbox(command.text.sealed) == given
    assert command.text.size == len(given)


@pytest.mark.parametrize("said", ["", " \n\t", "\0", "\u3000"])
async def test_nothing_but_white_space_is_nothing(said: str) -> None:
    command = await decode("message", {"content": said})
    assert isinstance(command, c.Submit)
    assert command.text.size == 0


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ({"archived": True, "locked": False}, "archived"),
        ({"archived": True, "locked": True}, "locked"),
        ({"archived": False, "locked": False}, "unarchived"),
    ],
)
async def test_threads(state: dict[str, bool], what: str) -> None:
    assert await decode("thread", {"thread_metadata": state}) == c.ChangeThread(what=what)
    assert await decode("thread_deleted", {}) == c.ChangeThread(what="deleted")
    assert await decode("thread_forbidden", {}) == c.ChangeThread(what="forbidden")


async def test_what_nobody_sent_is_refused() -> None:
    granted = recorded(Granted(session="100", reservation="r"))
    command, context = await DiscordTranslator(Keys()).translate(granted)
    assert (command, context.cause, context.by) == (c.Reject(reason=c.Reason.MALFORMED), 5, "")


# --- to a server -----------------------------------------------------------------------------------------------------


def about(group: str, role: str, person: Any, *, here: bool = True, bot: bool = False) -> dict[str, Any]:
    """`/claude add user` and its like, as Discord sends it."""
    options = [{"name": role, "type": 1, "options": [{"name": "person", "type": 6, "value": person}]}]
    resolved: dict[str, Any] = {
        "users": {"44": {"id": "44", "bot": bot}},
        "members": {"44": {"roles": []}} if here else {},
    }
    return {
        "data": {"name": "claude", "options": [{"name": group, "type": 2, "options": options}], "resolved": resolved}
    }


async def to_server(what: str, payload: Any) -> c.Command | c.GuildCommand:
    return (await DiscordTranslator(Keys()).translate(received(what, payload, session="")))[0]


@pytest.mark.parametrize("role", ["user", "owner"])
@pytest.mark.parametrize(("here", "bot"), [(True, False), (True, True), (False, False)])
async def test_members_are_added_with_what_discord_says_of_them(role: str, *, here: bool, bot: bool) -> None:
    added = c.AddMember(person="44", role=c.Role(role), bot=bot, here=here)
    assert await to_server("command", about("add", role, "44", here=here, bot=bot)) == added


async def test_members_are_deleted_also_when_they_are_not_there_any_more() -> None:
    deleted = c.DeleteMember(person="44", role=c.Role.USER)
    assert await to_server("command", about("delete", "user", "44", here=False)) == deleted


async def test_members_are_listed() -> None:
    assert await to_server("command", slash("members")) == c.ListMembers()


@pytest.mark.parametrize(
    "payload",
    [
        about("add", "king", "44"),
        about("add", "stranger", "44"),
        about("add", "user", "@bob"),
        about("add", "user", "４４"),
        about("add", "user", None),
        slash("add"),
        {},
    ],
)
async def test_what_no_member_command_says_is_refused(payload: Any) -> None:
    assert await to_server("command", payload) == c.Reject(reason=c.Reason.MALFORMED)


@pytest.mark.parametrize(
    ("custom_id", "command"),
    [
        ("v1:approve:1:9", c.DecideAccess(request="9", choice="approved")),
        ("v1:refuse:1:9", c.DecideAccess(request="9", choice="denied")),
        ("v1:confirm:1:", c.Confirm()),
        ("v1:approve:2:9", c.Reject(reason=c.Reason.MALFORMED)),
        ("v0:approve:1:9", c.Reject(reason=c.Reason.MALFORMED)),
    ],
    ids=["approve", "refuse", "confirm", "another server's", "no version of ours"],
)
async def test_owners_press(custom_id: str, command: c.GuildCommand) -> None:
    assert await to_server("component", {"data": {"custom_id": custom_id}}) == command


async def test_discord_tells_whose_a_server_is() -> None:
    assert await to_server("server", {"owner_id": "7"}) == c.SeeServer(person="7", channel="2")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "options", "name", "custom_id", "content", "attachments", "fetched", "thread_metadata"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["command", "component", "message", "edit", "delete", "thread", "thread_deleted", "modal", ""])


@settings(PROFILE)
@given(KINDS, JSON.map(json.dumps) | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20))
async def test_anything_else_is_refused_not_raised(what: str, raw: str) -> None:
    command, context = await DiscordTranslator(Keys()).translate(received(what, raw))
    assert isinstance(command, c.Command)
    assert context.cause == 5
    command, _ = await DiscordTranslator(Keys()).translate(received(what, raw, session=""))
    assert isinstance(command, c.GuildCommand)


@pytest.mark.parametrize("keys", [Keys(gone=True), Keys(torn=True)], ids=["destroyed", "tampered with"])
async def test_what_cannot_be_opened_any_more_is_refused(keys: Keys) -> None:
    command, _ = await DiscordTranslator(keys).translate(received("message", {"content": "hi"}))
    assert command == c.Reject(reason=c.Reason.MALFORMED)
