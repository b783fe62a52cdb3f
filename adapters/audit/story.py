"""A session's events told as a story: turns with what Claude said and did in them, who allowed it, what it cost, and the life of
its sandboxes. Pure; a text that is sealed stays a `Shut`.
"""

from collections.abc import Iterable

import msgspec

from adapters.audit.marks import HANDED, MARKS
from adapters.audit.texts import Body, Shut
from adapters.postgres.audit import Stored
from projections import prices as pricing
from projections.usage import Counts

Text = str | Shut
_PREFIX = "person:"


class Said(msgspec.Struct):
    at: int
    position: int
    text: Text
    nested: bool = False


class Tool(msgspec.Struct):
    """`until`: when its result came, 0 while there is none."""

    at: int
    position: int
    name: str
    summary: Text
    nested: bool = False
    until: int = 0
    failed: bool = False
    output: Text | None = None


class Ask(msgspec.Struct):
    """A permission. `choice` is allow, always, deny, expired, withdrawn, or empty while it is open."""

    at: int
    position: int
    tool: str
    question: Text
    until: int = 0
    by: str = ""
    choice: str = ""


class Mark(msgspec.Struct):
    """Something that happened, in a word. `tone` is plain, good, warn or bad."""

    at: int
    position: int
    text: str
    tone: str = "plain"
    by: str = ""
    detail: Text | None = None


Item = Said | Tool | Ask | Mark


class Turn(msgspec.Struct):
    """From a prompt to the end of the work on it. `outcome` is completed, stopped, failed, cut, or empty while it runs."""

    number: int
    at: int
    position: int
    by: str = ""
    prompt: Text | None = None
    items: list[Item] = []
    until: int = 0
    outcome: str = ""
    reason: str = ""
    counts: Counts = msgspec.field(default_factory=Counts)
    dollars: float | None = 0.0


class Span(msgspec.Struct):
    """A stretch of time in a lane: `line`, `sandbox`, `turn` or `ask`. `until` is 0 when it is not over."""

    lane: str
    at: int
    what: str
    until: int = 0
    tone: str = "plain"


class Story(msgspec.Struct):
    """`chapters` in order of time; `models` that answered. `dollars`: None when a model has no price."""

    session: str
    thread: str = ""
    guild: str = ""
    channel: str = ""
    starter: str = ""
    at: int = 0
    until: int = 0
    closed: bool = False
    events: int = 0
    first: int = 0
    last: int = 0
    erased: int = 0
    chapters: list[Turn | Mark] = []
    spans: list[Span] = []
    counts: Counts = msgspec.field(default_factory=Counts)
    dollars: float | None = 0.0
    models: list[str] = []


def tell(session: str, events: Iterable[tuple[Stored, Body]], prices: pricing.Prices) -> Story:
    """The story that a session's events tell, as far as they go."""
    teller = _Teller(session, prices)
    for stored, body in events:
        teller.take(stored, body)
    return teller.story


class _Teller:
    def __init__(self, session: str, prices: pricing.Prices) -> None:
        self.story = Story(session=session)
        self._prices = prices
        self._prompts: dict[str, Text] = {}
        self._turn: Turn | None = None
        self._last: Turn | None = None
        self._tools: dict[str, Tool] = {}
        self._asks: dict[str, Ask] = {}
        self._spans: dict[str, Span] = {}

    def take(self, stored: Stored, body: Body) -> None:
        story = self.story
        story.at = story.at or stored.at
        story.first = story.first or stored.position
        story.until, story.last = max(story.until, stored.at), stored.position
        story.events += 1
        if step := getattr(self, f"_on_{body.get('kind', stored.kind).replace('.', '_')}", None):
            step(stored, body)
        elif words := MARKS.get(stored.kind):
            text, tone = words
            self._mark(stored, text, tone, by=str(body.get("by", "")))

    # --- the session

    def _on_session_requested(self, stored: Stored, body: Body) -> None:
        self.story.starter, self.story.guild, self.story.channel = body["by"], body["guild"], body["channel"]
        self._mark(stored, "asked for a session", by=body["by"])

    def _on_session_thread_opened(self, stored: Stored, body: Body) -> None:
        self.story.thread = body["thread"]
        self._mark(stored, "thread opened")

    def _on_session_refused(self, stored: Stored, body: Body) -> None:
        self._mark(stored, f"refused: {body['reason'].replace('_', ' ')}", "warn", by=body["by"])

    def _on_session_thread_changed(self, stored: Stored, body: Body) -> None:
        self._mark(stored, f"thread {body['what']}", "warn", by=body.get("by", ""))

    def _on_session_close_asked(self, stored: Stored, body: Body) -> None:
        self._mark(stored, f"close: {body['why']}", by=body["by"])

    def _on_session_handed_over(self, stored: Stored, body: Body) -> None:
        how, files = body["how"], body.get("files", 0)
        self._mark(stored, f"handed over: {how}" + (f", {files} files" if files else ""), HANDED.get(how, "good"))

    def _on_session_closed(self, stored: Stored, _body: Body) -> None:
        self.story.closed = True
        self._mark(stored, "closed")

    def _on_session_effect_failed(self, stored: Stored, body: Body) -> None:
        then = "tried again" if body.get("retry") else "given up"
        self._mark(stored, f"{body['what']} failed, {then}", "warn", detail=body["why"])

    def _on_erasure_erased(self, stored: Stored, body: Body) -> None:
        self.story.erased += 1
        self._mark(stored, "texts erased", "bad", by=body["person"])

    # --- the line, and sandboxes

    def _on_session_slot_asked(self, stored: Stored, body: Body) -> None:
        self._mark(stored, f"in the line at place {body['place']}", "warn")
        self._begin("line", "line", stored.at, "in the line")

    def _on_session_slot_left(self, stored: Stored, _body: Body) -> None:
        self._end("line", stored.at)

    def _on_session_sandbox_reserved(self, stored: Stored, body: Body) -> None:
        self._end("line", stored.at)
        self._mark(stored, "sandbox reserved")
        self._begin("sandbox", body["reservation"], stored.at, "sandbox")

    def _on_session_sandbox_probed(self, stored: Stored, body: Body) -> None:
        opened = [f"{check['wall']} {check.get('address', '')}" for check in body["checks"] if check["found"] == "open"]
        text = "the sandbox reaches what must be closed" if opened else "the sandbox's walls hold"
        self._mark(stored, text, "bad" if opened else "good", detail=", ".join(opened) or None)

    def _on_session_sandbox_placed(self, stored: Stored, body: Body) -> None:
        self._mark(stored, "sandbox has an address", detail=", ".join(body["addresses"]))

    def _on_session_repo_asked(self, stored: Stored, body: Body) -> None:
        self._mark(stored, "a repository was asked for", by=body["by"])

    def _on_session_repo_cloned(self, stored: Stored, body: Body) -> None:
        code = body.get("code", [])
        trusted = "trusted" if body.get("trusted") else "not trusted"
        self._mark(stored, "repository cloned", "good", detail=f"{', '.join(code)}: {trusted}" if code else None)

    def _on_session_repo_failed(self, stored: Stored, body: Body) -> None:
        self._mark(stored, "repository not cloned", "bad", detail=body["why"].replace("_", " "))

    def _on_session_sandbox_ready(self, stored: Stored, body: Body) -> None:
        isolated = body.get("isolated", True)
        text = "sandbox ready" if isolated else "sandbox ready, not isolated"
        self._mark(stored, text, "good" if isolated else "warn")

    def _on_session_sandbox_lost(self, stored: Stored, body: Body) -> None:
        self._mark(stored, "sandbox lost", "bad", detail=": ".join(filter(None, (body["why"], body.get("detail")))))
        if span := self._spans.get(body["reservation"]):
            span.tone = "bad"

    _on_session_sandbox_lost_2 = _on_session_sandbox_lost

    def _on_session_sandbox_gone(self, stored: Stored, body: Body) -> None:
        self._mark(stored, "sandbox gone")
        self._end(body["reservation"], stored.at)

    # --- prompts and turns

    def _on_session_prompt_queued(self, stored: Stored, body: Body) -> None:
        self._prompts[body["prompt"]] = body["text"]
        if self._turn:
            self._mark(stored, "queued another prompt", by=body["by"])

    def _on_session_prompt_edited(self, stored: Stored, body: Body) -> None:
        self._prompts[body["prompt"]] = body["text"]
        self._mark(stored, "edited a queued prompt", by=body["by"])

    def _on_session_turn_started(self, stored: Stored, body: Body) -> None:
        number = body["turn"]
        self._turn = Turn(number, stored.at, stored.position, body["by"], self._prompts.get(body["prompt"]))
        self._last = self._turn
        self.story.chapters.append(self._turn)
        self._begin("turn", "turn", stored.at, f"turn {number}")

    def _on_session_turn_ended(self, stored: Stored, body: Body) -> None:
        self._over(stored, body["outcome"], body.get("reason", ""))

    def _on_session_turn_cut(self, stored: Stored, body: Body) -> None:
        self._over(stored, "cut", body["why"])

    def _over(self, stored: Stored, outcome: str, reason: str) -> None:
        if self._turn:
            self._turn.until, self._turn.outcome, self._turn.reason = stored.at, outcome, reason
        self._end("turn", stored.at, "plain" if outcome == "completed" else "bad" if outcome != "stopped" else "warn")
        self._turn = None

    def _on_egress_refused(self, stored: Stored, body: Body) -> None:
        self._mark(stored, "a host off the list was refused", "warn", detail=body["host"])

    def _on_usage_counted_2(self, _stored: Stored, body: Body) -> None:
        names = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
        counts = Counts(requests=1, **{name: body.get(name, 0) for name in names})
        dollars = pricing.cost(body["model"], counts, self._prices)
        if body["model"] not in self.story.models:
            self.story.models.append(body["model"])
        for one in (self.story, self._turn or self._last):
            if one:
                one.counts.add(counts)
                one.dollars = None if dollars is None or one.dollars is None else one.dollars + dollars

    # --- permissions

    def _on_session_answer_asked(self, stored: Stored, body: Body) -> None:
        ask = self._asks[body["request"]] = Ask(stored.at, stored.position, body["tool"], _shown(body["question"]))
        self._add(ask)
        self._begin("ask", f"ask {body['request']}", stored.at, f"{body['tool']} asks")

    def _on_session_answer_given(self, stored: Stored, body: Body) -> None:
        self._answer(stored, body["request"], body["choice"], body["by"])

    def _on_session_answer_expired(self, stored: Stored, body: Body) -> None:
        self._answer(stored, body["request"], "expired")

    def _answer(self, stored: Stored, request: str, choice: str, by: str = "") -> None:
        ask = self._asks.get(request)
        if ask and not ask.choice:
            ask.until, ask.choice, ask.by = stored.at, choice, by
        self._end(f"ask {request}", stored.at, "bad" if choice in {"deny", "expired"} else "plain")

    # --- what the journal says

    def _on_session_journal_read(self, stored: Stored, body: Body) -> None:
        for fact in body["facts"]:
            if step := getattr(self, f"_fact_{fact['fact']}", None):
                step(stored, fact)

    def _fact_said(self, stored: Stored, fact: Body) -> None:
        self._add(Said(stored.at, stored.position, fact["text"], nested=bool(fact.get("parent"))))

    def _fact_tool_called(self, stored: Stored, fact: Body) -> None:
        tool = Tool(stored.at, stored.position, fact["name"], fact["summary"], nested=bool(fact.get("parent")))
        self._tools[fact["tool"]] = tool
        self._add(tool)

    def _fact_tool_returned(self, stored: Stored, fact: Body) -> None:
        if tool := self._tools.get(fact["tool"]):
            tool.until, tool.failed, tool.output = stored.at, fact["failed"], fact.get("output")

    def _fact_permission_withdrawn(self, stored: Stored, fact: Body) -> None:
        self._answer(stored, fact["request"], "withdrawn")

    def _fact_retrying(self, stored: Stored, fact: Body) -> None:
        self._mark(stored, f"the model did not answer, try {fact['attempt']} of {fact['limit']}", "warn")

    def _fact_noticed(self, stored: Stored, fact: Body) -> None:
        self._mark(stored, str(fact["what"]).replace("_", " "), "warn", detail=fact.get("text"))

    def _fact_cli_exited(self, stored: Stored, fact: Body) -> None:
        tone = "plain" if fact["code"] == 0 else "bad"
        self._mark(stored, f"Claude Code ended with status {fact['code']}", tone, detail=fact.get("why"))

    def _fact_memory_filled(self, stored: Stored, fact: Body) -> None:
        self._mark(stored, f"the sandbox's memory is {fact['percent']} % full", "warn")

    def _fact_disk_filled(self, stored: Stored, fact: Body) -> None:
        self._mark(stored, f"the sandbox's disk is {fact['percent']} % full", "bad" if fact.get("stopped") else "warn")

    # --- where it goes

    def _mark(
        self, stored: Stored, text: str, tone: str = "plain", *, by: str = "", detail: Text | None = None
    ) -> None:
        self._add(Mark(stored.at, stored.position, text, tone, by or _person(stored), detail))

    def _add(self, item: Item) -> None:
        if self._turn:
            self._turn.items.append(item)
        elif isinstance(item, Mark) or self._last is None:
            self.story.chapters.append(item if isinstance(item, Mark) else Mark(item.at, item.position, "said"))
        else:
            self._last.items.append(item)

    def _begin(self, lane: str, name: str, at: int, what: str) -> None:
        self._end(name, at)
        self._spans[name] = Span(lane, at, what)
        self.story.spans.append(self._spans[name])

    def _end(self, name: str, at: int, tone: str = "plain") -> None:
        if span := self._spans.pop(name, None):
            span.until = at
            span.tone = span.tone if tone == "plain" else tone


def _person(stored: Stored) -> str:
    return stored.actor.removeprefix(_PREFIX) if stored.actor.startswith(_PREFIX) else ""


class _Asked(msgspec.Struct):
    shown: str
    path: str = ""


def _shown(question: Text) -> Text:
    """What people were asked: the question is sealed JSON."""
    if isinstance(question, Shut):
        return question
    try:
        asked = msgspec.json.decode(question, type=_Asked)
    except msgspec.MsgspecError:
        return question
    return "\n".join(part for part in (asked.path, asked.shown) if part)


def told(kind: str) -> bool:
    """Whether a kind of event has a place in the story."""
    return kind in MARKS or hasattr(_Teller, f"_on_{kind.replace('.', '_')}")
