"""The events: everything that is ever written to the log.

These structs and their tags are STORAGE FORMAT. A released one never changes: a change is a new struct with a new tag, an
upcaster from the old (`schema/upcasters.py`) and a golden file for ever (`tests/golden/events`). Field order is part of the
golden files. Personal text is always `Sealed`; nothing else here may tell what somebody wrote, or what Claude answered.

It is one file because the log is one: what any stream may hold is seen at a glance, and each kind is a few lines.

Ids of people, servers, channels, threads and messages are Discord's, as decimal strings. Times are µs since the epoch, UTC.
A session's id is the Discord id of the interaction that asked for it, a prompt's that of the message (or interaction) it
came with.
"""

import msgspec

from schema.facts import Fact
from schema.sealed import Sealed


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True, gc=False):
    """`tag` is the kind in the log. Never rename one.

    Values made of values cannot be part of a cycle, so the garbage collector need not look for any in them.
    """


# --- inbox:<ingress incarnation> -------------------------------------------------------------------------------------


class Received(_Event, frozen=True, kw_only=True, tag="inbox.received"):
    """Discord sent something that wants an outcome in `session`, or in `guild` itself when that is empty.

    `raw` is the payload, its token cut out. `what` is command, component, message, edit, delete, thread, thread_deleted,
    thread_forbidden or server. `discord_id` is the id of what was sent: an interaction, a message, a thread, a server.
    """

    what: str
    discord_id: str
    session: str
    by: str
    locale: str
    guild: str
    channel: str
    raw: Sealed


# --- session:<id> ----------------------------------------------------------------------------------------------------


class Requested(_Event, frozen=True, kw_only=True, tag="session.requested"):
    """Somebody asked for a session; its thread will be opened in `channel`."""

    by: str
    locale: str
    guild: str
    channel: str


class AccessAsked(_Event, frozen=True, kw_only=True, tag="session.access_asked"):
    """A stranger asked for a session: the server's owners decide. When they let them in, the same command runs again."""

    by: str
    locale: str
    guild: str
    channel: str


class Refused(_Event, frozen=True, kw_only=True, tag="session.refused"):
    """A command had no effect, for `reason` (a `Reason` of engine/commands.py): its outcome all the same."""

    by: str
    locale: str
    reason: str
    detail: str = ""


class Noted(_Event, frozen=True, kw_only=True, tag="session.noted"):
    """A command was understood and changed nothing by itself: a status request, a press that came to the same."""

    by: str
    locale: str
    what: str


class BudgetNeared(_Event, frozen=True, kw_only=True, tag="session.budget_neared"):
    """`by` has used most of what they may use in a day: `spent` of `budget`, in millionths of a US dollar."""

    by: str
    spent: int
    budget: int


class StarterPosted(_Event, frozen=True, kw_only=True, tag="session.starter_posted"):
    """The message that the thread hangs on stands in the channel."""

    message: str


class ThreadOpened(_Event, frozen=True, kw_only=True, tag="session.thread_opened"):
    """The session has its thread; from here on its messages are prompts."""

    thread: str


class ThreadChanged(_Event, frozen=True, kw_only=True, tag="session.thread_changed"):
    """Somebody archived, unarchived, locked, unlocked or deleted the thread, or took a permission we need (`forbidden`)."""

    what: str
    by: str = ""


class RepoAsked(_Event, frozen=True, kw_only=True, tag="session.repo_asked"):
    """Each sandbox of the session begins with a clone of `repo`, an https address."""

    by: str
    repo: Sealed


class Shared(_Event, frozen=True, kw_only=True, tag="session.shared"):
    """From here on every user of the server may prompt, answer and stop in the session."""

    by: str


class Unshared(_Event, frozen=True, kw_only=True, tag="session.unshared"):
    """From here on only whoever started the session, and owners, may do something in it."""

    by: str


class SlotAsked(_Event, frozen=True, kw_only=True, tag="session.slot_asked"):
    """The session stands in the line for a sandbox at `place`, 1 being next."""

    place: int


class LineLeft(_Event, frozen=True, kw_only=True, tag="session.line_left"):
    """Somebody took the session out of the line; the next prompt puts it at the end.

    `by` is empty when whoever started it has as many sandboxes already as one person may.
    """

    by: str


class SlotNeeded(_Event, frozen=True, kw_only=True, tag="session.slot_needed"):
    """Others wait for a slot like the session's, or no longer do."""

    needed: bool


class IdleAsked(_Event, frozen=True, kw_only=True, tag="session.idle_asked"):
    """Nothing happens in the sandbox while others wait: people are asked whether to keep it."""


class Kept(_Event, frozen=True, kw_only=True, tag="session.kept"):
    """Somebody wants to keep the sandbox for now."""

    by: str


class SlotLeft(_Event, frozen=True, kw_only=True, tag="session.slot_left"):
    """The session no longer stands in the line."""


class SandboxReserved(_Event, frozen=True, kw_only=True, tag="session.sandbox_reserved"):
    """A slot is ours, in this name. Nothing is created before this is recorded (P4)."""

    reservation: str


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One address (`host:port`) that a sandbox was tried to reach from, and what stands there.

    `wall` is api, kubelet, metadata, sandbox, outside, database, bot, dns, ipv6 or gateway. `found`: closed, open, unshown (not
    reached, but neither was it from elsewhere); reached for the gateway, which must be.
    """

    wall: str
    found: str
    address: str = ""


class SandboxProbed(_Event, frozen=True, kw_only=True, tag="session.sandbox_probed"):
    """Seen from inside, before anything of the session was in it: what the sandbox reaches."""

    reservation: str
    checks: tuple[Check, ...]


class SandboxPlaced(_Event, frozen=True, kw_only=True, tag="session.sandbox_placed"):
    """Which addresses the sandbox has in the network: from others, its session token is good for nothing."""

    reservation: str
    addresses: tuple[str, ...]


class RepoCloned(_Event, frozen=True, kw_only=True, tag="session.repo_cloned"):
    """The repository stands in the workspace. `repo`: its address, and the commit.

    `code`: what it holds that Claude Code would run or obey: settings (with hooks), mcp, prompts (commands, skills, agents). It
    does so when the repository is `trusted`.
    """

    reservation: str
    repo: Sealed
    code: tuple[str, ...] = ()
    trusted: bool = False


class RepoFailed(_Event, frozen=True, kw_only=True, tag="session.repo_failed"):
    """The repository could not be cloned, and will not be by trying again. `said`: what git or its host said of it.

    `why`: not_found, auth (its host wants to know who asks), host (not on the list, or without a public address), moved (to
    another host), size, time or broken.
    """

    reservation: str
    why: str
    said: Sealed | None = None


class SandboxReady(_Event, frozen=True, kw_only=True, tag="session.sandbox_ready"):
    """The sandbox answers, and its supervisor has accepted our fencing epoch. `isolated`: by more than a process boundary."""

    reservation: str
    isolated: bool = True


class SandboxLost(_Event, frozen=True, kw_only=True, tag="session.sandbox_lost.2"):
    """The sandbox is of no more use. `why`: gone, memory, evicted, node, start (not up in time), refused (it cannot come up as
    things are), walls (see SandboxProbed) or repo (see RepoFailed). `detail`: what was said of it, a sentence for people in
    English.

    (`session.sandbox_lost` had no detail.)
    """

    reservation: str
    why: str
    detail: str = ""


class SandboxGone(_Event, frozen=True, kw_only=True, tag="session.sandbox_gone"):
    """The sandbox was seen gone; only now is its slot free."""

    reservation: str


class PromptQueued(_Event, frozen=True, kw_only=True, tag="session.prompt_queued"):
    """A prompt stands in our queue. `size` is its length in characters."""

    prompt: str
    by: str
    text: Sealed
    size: int


class PromptEdited(_Event, frozen=True, kw_only=True, tag="session.prompt_edited"):
    """A queued prompt has another text now."""

    prompt: str
    by: str
    text: Sealed
    size: int


class PromptRemoved(_Event, frozen=True, kw_only=True, tag="session.prompt_removed"):
    """A queued prompt was taken back."""

    prompt: str
    by: str


class PromptSent(_Event, frozen=True, kw_only=True, tag="session.prompt_sent"):
    """A prompt left the queue for Claude Code: fixed now, resent under its id until the CLI says started (P2)."""

    prompt: str


class Delivered(_Event, frozen=True, kw_only=True, tag="session.delivered"):
    """The supervisor has taken a line for the CLI of this `life`: `item` is `prompt:<id>`, `answer:<request>` or `stop:<turn>`."""

    item: str
    life: int


class JournalRead(_Event, frozen=True, kw_only=True, tag="session.journal_read"):
    """The journal was read from `start` to `end` (bytes, whole lines) of `epoch`, and said `facts` (P3)."""

    epoch: int
    start: int
    end: int
    facts: tuple[Fact, ...]


class TurnStarted(_Event, frozen=True, kw_only=True, tag="session.turn_started"):
    """Claude works. `prompt` is empty for a turn that began by itself (a background task ended)."""

    turn: int
    prompt: str
    by: str


class TurnEnded(_Event, frozen=True, kw_only=True, tag="session.turn_ended"):
    """Claude is done with a turn: `outcome` is completed, stopped or failed."""

    turn: int
    outcome: str
    reason: str = ""


class TurnCut(_Event, frozen=True, kw_only=True, tag="session.turn_cut"):
    """The CLI, its journal or its sandbox died in a turn: outcome unknown, people choose what next."""

    turn: int
    why: str


class CutResolved(_Event, frozen=True, kw_only=True, tag="session.cut_resolved"):
    """Somebody chose to go on after a cut turn, or to try its prompt again as `prompt`."""

    turn: int
    by: str
    choice: str
    prompt: str = ""


class StopAsked(_Event, frozen=True, kw_only=True, tag="session.stop_asked"):
    """Somebody wants the running turn to end."""

    turn: int
    by: str


class AnswerAsked(_Event, frozen=True, kw_only=True, tag="session.answer_asked"):
    """Claude waits for a permission until `expires`. `always`: it can be given for the rest of the session."""

    request: str
    turn: int
    tool: str
    question: Sealed
    always: bool
    expires: int


class AnswerGiven(_Event, frozen=True, kw_only=True, tag="session.answer_given"):
    """Somebody decided: `choice` is allow, always or deny."""

    request: str
    by: str
    choice: str


class AnswerExpired(_Event, frozen=True, kw_only=True, tag="session.answer_expired"):
    """Nobody decided in time: denied."""

    request: str


class MessageShown(_Event, frozen=True, kw_only=True, tag="session.message_shown"):
    """Message number `index` of card `part` stands in the thread, showing its revision `rev` from character `start` on.

    `final`: it will not be touched again.
    """

    part: str
    index: int
    message: str
    rev: int
    start: int = 0
    final: bool = False


class PartCleared(_Event, frozen=True, kw_only=True, tag="session.part_cleared"):
    """A card that was of use for a while is gone from the thread."""

    part: str


class Replied(_Event, frozen=True, kw_only=True, tag="session.replied"):
    """The person who did what stands at position `to` was told its outcome, or could not be told any more (`late`)."""

    to: int
    late: bool = False


class EffectFailed(_Event, frozen=True, kw_only=True, tag="session.effect_failed"):
    """Something wanted did not work, for the `attempt`th time. `retry` is when it is tried again; None: given up."""

    what: str
    attempt: int
    why: str
    retry: int | None


class EgressNoted(_Event, frozen=True, kw_only=True, tag="session.egress_noted"):
    """The thread is told of a host that its sandbox was not connected to, once for each."""

    host: str


class CloseAsked(_Event, frozen=True, kw_only=True, tag="session.close_asked"):
    """The session ends: hand-over, then the sandbox goes. `why` is asked, deleted, failed or removed (whoever started it)."""

    by: str
    why: str


class HandedOver(_Event, frozen=True, kw_only=True, tag="session.handed_over"):
    """What the session made was given to its people: `how` is posted, empty, kept or lost.

    kept: it could not be posted, and `files` of it are in the database.
    """

    how: str
    files: int = 0


class Closed(_Event, frozen=True, kw_only=True, tag="session.closed"):
    """Nothing is left to do."""


# --- guild:<id> ------------------------------------------------------------------------------------------------------


class ServerOwned(_Event, frozen=True, kw_only=True, tag="guild.server_owned"):
    """Discord says that `person` owns the server. `channel` is where it posts its own news; "" when there is none."""

    person: str
    channel: str = ""


class OwnerConfirmed(_Event, frozen=True, kw_only=True, tag="guild.owner_confirmed"):
    """Somebody is an owner without another having made them one: `how` is settings (OWNER_IDS) or discord (they confirmed)."""

    person: str
    how: str


class AccessRequested(_Event, frozen=True, kw_only=True, tag="guild.access_requested"):
    """Somebody waits until `expires` to be let in. `request` is the session they asked for, by the command at `received`."""

    request: str
    by: str
    locale: str
    channel: str
    received: int
    expires: int


class AccessDecided(_Event, frozen=True, kw_only=True, tag="guild.access_decided"):
    """A request for access is over: `choice` is approved, denied, expired or left. Approved: the command at `received` runs.
    Left: `by` wanted to approve it, and `person` was not in the server any more.

    `again`: when they may ask again (µs), 0 at any time.
    """

    request: str
    person: str
    by: str
    choice: str
    received: int
    again: int = 0


class RoleGiven(_Event, frozen=True, kw_only=True, tag="guild.role_given"):
    """`person` is an owner or a user from here on."""

    person: str
    role: str
    by: str


class RoleTaken(_Event, frozen=True, kw_only=True, tag="guild.role_taken"):
    """`person` is no longer what `role` says: who was an owner is a user now, who was a user a stranger."""

    person: str
    role: str
    by: str


class Dismissed(_Event, frozen=True, kw_only=True, tag="guild.dismissed"):
    """`by` removed `person`: in `session`, which was open then, nothing of theirs goes on. Work for that session."""

    session: str
    person: str
    by: str


class Cleared(_Event, frozen=True, kw_only=True, tag="guild.cleared"):
    """Every session that was open when `person` was removed has been told so."""

    person: str


class GuildRefused(_Event, frozen=True, kw_only=True, tag="guild.refused"):
    """A command to the server had no effect, for `reason` (a `Reason` of engine/commands.py): its outcome all the same."""

    by: str
    locale: str
    reason: str
    detail: str = ""


class GuildNoted(_Event, frozen=True, kw_only=True, tag="guild.noted"):
    """A command to the server was understood and changed nothing by itself, or nothing that `what` does not say."""

    by: str
    locale: str
    what: str
    detail: str = ""


class NoticeShown(_Event, frozen=True, kw_only=True, tag="guild.notice_shown"):
    """A message of the server stands in its channel, and shows revision `rev` of notice `part`."""

    part: str
    message: str
    rev: int


class GuildReplied(_Event, frozen=True, kw_only=True, tag="guild.replied"):
    """The person who did what stands at position `to` was told its outcome, or could not be told any more (`late`)."""

    to: int
    late: bool = False


class GuildEffectFailed(_Event, frozen=True, kw_only=True, tag="guild.effect_failed"):
    """Something the server wants did not work, for the `attempt`th time. `retry` is when it is tried again; None: given up."""

    what: str
    attempt: int
    why: str
    retry: int | None


# --- slots -----------------------------------------------------------------------------------------------------------


class Asked(_Event, frozen=True, kw_only=True, tag="slots.asked"):
    """A session asks for a sandbox: it joins the end of its server's line. `guild`: "" as long as one line was for all."""

    session: str
    guild: str = ""


class Granted(_Event, frozen=True, kw_only=True, tag="slots.granted"):
    """The first in the line of a server has a slot, under a reservation that is never used again."""

    session: str
    reservation: str


class Left(_Event, frozen=True, kw_only=True, tag="slots.left"):
    """A session no longer waits."""

    session: str


class Moved(_Event, frozen=True, kw_only=True, tag="slots.moved"):
    """A session that waits stands at `place` now, 1 being next, for others before it were served or left."""

    session: str
    place: int


class Needed(_Event, frozen=True, kw_only=True, tag="slots.needed"):
    """A session that holds a slot: from here on others wait for one, or nobody does."""

    session: str
    needed: bool


class Released(_Event, frozen=True, kw_only=True, tag="slots.released"):
    """A slot is free: its sandbox was seen gone."""

    reservation: str


class LeakRemoved(_Event, frozen=True, kw_only=True, tag="slots.leak_removed"):
    """A sandbox was found that nobody had reserved (any more); it was removed, and seen gone."""

    reservation: str


# --- egress:<session> ------------------------------------------------------------------------------------------------


class EgressRefused(_Event, frozen=True, kw_only=True, tag="egress.refused"):
    """The gateway did not connect the sandbox of `session` to `host` (`name:port`): it is not on the list of EGRESS_ALLOW.

    `host` is in the clear, for the gateway holds no key of texts: an address, not what somebody wrote.
    """

    session: str
    reservation: str
    host: str


# --- usage:<session> -------------------------------------------------------------------------------------------------


class UsageCounted(_Event, frozen=True, kw_only=True, tag="usage.counted.2"):
    """The gateway counted one request to the model, in tokens. `estimated`: it was cut off before it named its usage.

    What is written to the cache is told by how long it stays there, for that is what it costs by. (`usage.counted` told the
    sum only.)
    """

    reservation: str
    model: str
    input: int
    output: int
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    status: int = 200
    estimated: bool = False


# --- erasure:<session> -----------------------------------------------------------------------------------------------


class Erased(_Event, frozen=True, kw_only=True, tag="erasure.erased"):
    """The key of everything that `person` wrote in the session, and of what was answered to it, was destroyed."""

    person: str


SessionEvent = (
    Requested
    | AccessAsked
    | Refused
    | Noted
    | BudgetNeared
    | StarterPosted
    | ThreadOpened
    | ThreadChanged
    | RepoAsked
    | Shared
    | Unshared
    | SlotAsked
    | LineLeft
    | SlotNeeded
    | IdleAsked
    | Kept
    | SlotLeft
    | SandboxReserved
    | SandboxProbed
    | SandboxPlaced
    | RepoCloned
    | RepoFailed
    | SandboxReady
    | SandboxLost
    | SandboxGone
    | PromptQueued
    | PromptEdited
    | PromptRemoved
    | PromptSent
    | Delivered
    | JournalRead
    | TurnStarted
    | TurnEnded
    | TurnCut
    | CutResolved
    | StopAsked
    | AnswerAsked
    | AnswerGiven
    | AnswerExpired
    | MessageShown
    | PartCleared
    | Replied
    | EffectFailed
    | EgressNoted
    | CloseAsked
    | HandedOver
    | Closed
)
GuildEvent = (
    ServerOwned
    | OwnerConfirmed
    | AccessRequested
    | AccessDecided
    | RoleGiven
    | RoleTaken
    | Dismissed
    | Cleared
    | GuildRefused
    | GuildNoted
    | NoticeShown
    | GuildReplied
    | GuildEffectFailed
)
SlotsEvent = Asked | Granted | Left | Moved | Needed | Released | LeakRemoved
Event = Received | SessionEvent | GuildEvent | SlotsEvent | EgressRefused | UsageCounted | Erased
