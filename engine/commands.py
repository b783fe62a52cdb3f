"""Commands: what somebody wants, or what an effect found out. Imperative, and complete.

Deciders know no clock, no ids and no rights of their own: who acts, when, in which language and under which policy comes in
as `Context`. A command of a person answers exactly one event of the log (`Context.cause`) and gets exactly one outcome.
"""

from enum import StrEnum

import msgspec

from schema.events import GuildEvent, SessionEvent
from schema.sealed import Sealed


class Role(StrEnum):
    """What somebody is in a server. Owners and users are members; everybody else is a stranger."""

    OWNER = "owner"
    USER = "user"
    STRANGER = "stranger"


class Reason(StrEnum):
    """Why a command had no effect. The values are stored in `Refused` and name the texts that people read."""

    ACCESS_FULL = "access_full"
    ACCESS_OVER = "access_over"
    ACCESS_PENDING = "access_pending"
    ACCESS_SOON = "access_soon"
    ALREADY = "already"
    BUDGET = "budget"
    CLOSED = "closed"
    CONFIRM_FIRST = "confirm_first"
    CONFIRM_OTHER = "confirm_other"
    EMPTY = "empty"
    EXPIRED = "expired"
    IN_SESSION = "in_session"
    IS_BOT = "is_bot"
    IS_MEMBER = "is_member"
    IS_OWNER = "is_owner"
    LEAVING = "leaving"
    LEFT = "left"
    LAST_OWNER = "last_owner"
    MALFORMED = "malformed"
    NOT_HERE = "not_here"
    NOT_MEMBER = "not_member"
    NOT_OWNER = "not_owner"
    NO_SESSION = "no_session"
    NOT_CUT = "not_cut"
    NOT_QUEUED = "not_queued"
    NOT_RUNNING = "not_running"
    NOT_WAITING = "not_waiting"
    NOT_YOURS = "not_yours"
    OWNERS_ONLY = "owners_only"
    QUEUE_FULL = "queue_full"
    REPO_HOST = "repo_host"
    REPO_INVALID = "repo_invalid"
    REPO_OFF = "repo_off"
    STARTER_ONLY = "starter_only"
    STRANGER = "stranger"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    UNSURE = "unsure"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that decisions rest on. Times are µs. Budgets: what somebody may use in a day, in millionths of a dollar;
    0 for no limit. `sandboxes_per_person`: 0 for any number. `repo_hosts`: whose repositories may be cloned, as `repos.allows`
    takes them.
    """

    permission_ttl: int = 24 * 3600 * 1_000_000
    start_limit: int = 120 * 1_000_000
    handover_limit: int = 600 * 1_000_000
    queue_limit: int = 20
    prompt_limit: int = 200_000
    access_ttl: int = 7 * 24 * 3600 * 1_000_000
    access_again: int = 24 * 3600 * 1_000_000
    access_limit: int = 20
    sandboxes_per_person: int = 0
    budget_user: int = 0
    budget_owner: int = 0
    repo_hosts: tuple[str, ...] = ()

    def budget(self, role: Role) -> int:
        """What somebody of that role may use in a day; 0 for no limit."""
        return {Role.USER: self.budget_user, Role.OWNER: self.budget_owner}.get(role, 0)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds a command: when (µs), by whom ("" for an effect), in which language, in answer to which position.

    `role`: what `by` is in the server of the session, as it stands at the version that the append is guarded with. `spent`: what
    `by` has used today, in millionths of a dollar, about; 0 where they have no budget. `running`: how many sessions of theirs are
    open, where that is limited.
    """

    at: int
    by: str = ""
    role: Role = Role.STRANGER
    spent: int = 0
    running: int = 0
    locale: str = "en-US"
    cause: int = 0
    policy: Policy = Policy()


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed text and its length in characters."""

    sealed: Sealed
    size: int


class Repo(msgspec.Struct, frozen=True, kw_only=True):
    """The sealed address of a repository, and its `host` as `repos.Repository` has it; "" when what was given is none."""

    sealed: Sealed
    host: str


class Start(_Command, frozen=True, kw_only=True):
    """Open a session, perhaps with a first prompt, and with a clone of a repository in its workspace."""

    guild: str
    channel: str
    prompt: str = ""
    text: Text | None = None
    repo: Repo | None = None


class Submit(_Command, frozen=True, kw_only=True):
    """Give Claude a prompt, after those that wait already."""

    prompt: str
    text: Text


class Edit(_Command, frozen=True, kw_only=True):
    """Change a prompt that still waits."""

    prompt: str
    text: Text


class Remove(_Command, frozen=True, kw_only=True):
    """Take back a prompt that still waits."""

    prompt: str


class Stop(_Command, frozen=True, kw_only=True):
    """End the running turn; `turn` is the one the button belonged to, None whichever runs."""

    turn: int | None = None


class Answer(_Command, frozen=True, kw_only=True):
    """Decide a permission: allow, always or deny."""

    request: str
    choice: str


class Resolve(_Command, frozen=True, kw_only=True):
    """Say how to go on after a cut turn: `continue` with `text` as a new prompt, or `retry` the same prompt under a new id."""

    turn: int
    choice: str
    prompt: str
    text: Text


class Close(_Command, frozen=True, kw_only=True):
    """End the session."""


class Leave(_Command, frozen=True, kw_only=True):
    """Wait for a sandbox no longer."""


class Keep(_Command, frozen=True, kw_only=True):
    """Keep the sandbox although others wait; `question` is the number of the one the button belonged to."""

    question: int


class Share(_Command, frozen=True, kw_only=True):
    """Let every user of the server act in the session, or not any more."""

    shared: bool


class ShowStatus(_Command, frozen=True, kw_only=True):
    """Tell how the session stands."""


class TellStory(_Command, frozen=True, kw_only=True):
    """Tell what happened in this session."""


class ChangeThread(_Command, frozen=True, kw_only=True):
    """The thread was archived, unarchived, locked, unlocked, deleted, or is forbidden to us."""

    what: str


class Reject(_Command, frozen=True, kw_only=True):
    """The inbox event could not be understood, or names nothing of ours."""

    reason: Reason
    detail: str = ""


class Grant(_Command, frozen=True, kw_only=True):
    """The line has come to this session."""

    reservation: str


class Move(_Command, frozen=True, kw_only=True):
    """The session stands elsewhere in the line, for others were served or left."""

    place: int


class Need(_Command, frozen=True, kw_only=True):
    """Others wait for a slot like the session's, or nobody does."""

    needed: bool


class Dismiss(_Command, frozen=True, kw_only=True):
    """`by` removed `person` from the server: nothing of theirs goes on."""

    person: str
    by: str


class NoteEgress(_Command, frozen=True, kw_only=True):
    """The sandbox was not connected to `host`, which is not on the list: its people shall know."""

    host: str


class Report(_Command, frozen=True, kw_only=True):
    """An effect found out what `event` says. Recorded as it is when the session still has use for it."""

    event: SessionEvent


class Tick(_Command, frozen=True, kw_only=True):
    """Time has passed: expire what is due at `Context.at`."""


Command = (
    Start
    | Submit
    | Edit
    | Remove
    | Stop
    | Answer
    | Resolve
    | Close
    | Leave
    | Keep
    | Share
    | ShowStatus
    | TellStory
    | ChangeThread
    | Reject
    | Grant
    | Move
    | Need
    | Dismiss
    | NoteEgress
    | Report
    | Tick
)


# --- to a server -----------------------------------------------------------------------------------------------------


class SeeServer(_Command, frozen=True, kw_only=True):
    """Discord says who owns the server, and where it posts its own news ("": nowhere)."""

    person: str
    channel: str


class AskAccess(_Command, frozen=True, kw_only=True):
    """Let `Context.by` in: they asked for session `request`, by the command at position `received` in `channel`."""

    request: str
    channel: str
    received: int


class DecideAccess(_Command, frozen=True, kw_only=True):
    """Say whether who asked is let in: `choice` is approved or denied. `here`: Discord says that they are in the server; None
    when it does not say.
    """

    request: str
    choice: str
    here: bool | None = True


class Confirm(_Command, frozen=True, kw_only=True):
    """Be the first owner."""


class AddMember(_Command, frozen=True, kw_only=True):
    """Make `person` a user or an owner. `bot`: it is one. `here`: Discord says that they are in the server."""

    person: str
    role: Role
    bot: bool = False
    here: bool = True


class DeleteMember(_Command, frozen=True, kw_only=True):
    """Take `role` from `person`: an owner becomes a user, a user a stranger."""

    person: str
    role: Role


class ListMembers(_Command, frozen=True, kw_only=True):
    """Tell who may do what."""


class ListSessions(_Command, frozen=True, kw_only=True):
    """Tell what runs."""


class EndSessions(_Command, frozen=True, kw_only=True):
    """`person` was removed, and these `sessions` of the server are open."""

    person: str
    sessions: tuple[str, ...]


class GuildReport(_Command, frozen=True, kw_only=True):
    """An effect of the server found out what `event` says."""

    event: GuildEvent


GuildCommand = (
    SeeServer
    | AskAccess
    | DecideAccess
    | Confirm
    | AddMember
    | DeleteMember
    | ListMembers
    | ListSessions
    | EndSessions
    | Reject
    | GuildReport
    | Tick
)
