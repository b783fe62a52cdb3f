"""A story as one page: HTML that stands alone, without scripts, network or fonts of its own; it prints.

All text in it is hostile: escaped, its direction isolated, and what hides in it made visible. A policy in the page forbids
everything but its own style.
"""

import html
from datetime import datetime
from importlib.resources import files

from adapters.audit.show import visible
from adapters.audit.story import Ask, Item, Mark, Said, Span, Story, Text, Tool, Turn
from adapters.audit.texts import Shut
from projections.usage import Counts

_SECOND = 1_000_000  # µs
_LONG = 1_200  # characters, or
_MANY = 16  # lines: what is longer is folded
_LANES = {"line": "line", "sandbox": "sandbox", "turn": "turns", "ask": "permissions"}
_OUTCOMES = {"completed": "good", "stopped": "warn", "failed": "bad", "cut": "bad"}
_CHOICES = {
    "allow": ("good", "allowed"),
    "always": ("good", "always allowed"),
    "deny": ("bad", "denied"),
    "expired": ("bad", "expired: denied"),
    "withdrawn": ("warn", "withdrawn"),
    "": ("warn", "waits"),
}


def render(story: Story, *, made: int, installation: str) -> str:
    """The page. `made`: now, in µs."""
    style = files("adapters.audit").joinpath("page.css").read_text(encoding="utf-8")
    name = f"Thread {story.thread}" if story.thread else f"Session {story.session}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{_e(name)} · audit</title>
<style>
{style}</style>
</head>
<body>
<main>
<header>
<p class="over">Audit · discord-claude</p>
<h1>{_e(name)}</h1>
<p class="under">{_sentence(story)}</p>
{_tiles(story)}
{_strip(story)}
</header>
<section class="story" aria-label="What happened">
{_chapters(story)}
</section>
<footer>
<p>Positions {story.first} to {story.last} of the log, {_plural(story.events, "event")} ·
session {_e(story.session)} · installation {_e(installation)}</p>
<p>Made {_day(made)} {_clock(made)} by <code>discord-claude audit</code>. Times are of the machine that made it ({_zone(made)}).
<code>discord-claude verify</code> says whether the log is intact; cost is an estimate by list prices.</p>
</footer>
</main>
</body>
</html>
"""


# --- the top ---------------------------------------------------------------------------------------------------------


def _sentence(story: Story) -> str:
    where = f"server {_e(story.guild)}, channel {_e(story.channel)}" if story.guild else "an unknown place"
    ended = f"closed {_until(story.at, story.until)}" if story.closed else "still open"
    who = _who(story.starter) if story.starter else "somebody"
    return f"Started by {who} in {where}, on {_day(story.at)} at {_clock(story.at)}; {ended}."


def _tiles(story: Story) -> str:
    turns = [one for one in story.chapters if isinstance(one, Turn)]
    tools = [item for turn in turns for item in turn.items if isinstance(item, Tool)]
    asks = [item for turn in turns for item in turn.items if isinstance(item, Ask)]
    sandbox = sum((span.until or story.until) - span.at for span in story.spans if span.lane == "sandbox")
    work = sum((turn.until or story.until) - turn.at for turn in turns)
    bad = sum(turn.outcome in {"failed", "cut"} for turn in turns)
    counts = story.counts
    tokens = read_tokens(counts) + counts.output
    denied = sum(ask.choice in {"deny", "expired"} for ask in asks)
    tiles = [
        (str(len(turns)), "turns", f"{bad} failed or cut" if bad else _plural(len(tools), "tool call")),
        (_span(work), "of work", f"in {_span(sandbox)} of sandbox"),
        (str(len(asks)), "permissions", f"{denied} denied" if denied else "none denied"),
        (_count(tokens), "tokens", f"{_count(counts.output)} of them written"),
        (_dollars(story.dollars), "cost, about", ", ".join(story.models) or "no model"),
    ]
    return (
        '<ul class="tiles">'
        + "".join(
            f"<li><b>{_e(value)}</b> <span>{_e(what)}</span><small>{_e(note)}</small></li>"
            for value, what, note in tiles
        )
        + "</ul>"
    )


def _strip(story: Story) -> str:
    """The session at a glance: a lane for the line, sandboxes, turns, and permissions that were waited for."""
    whole = max(1, story.until - story.at)
    lanes = [lane for lane in _LANES if any(span.lane == lane for span in story.spans)]
    if not lanes:
        return ""
    rows = "".join(
        f"<dt>{_LANES[lane]}</dt><dd>"
        + "".join(_bar(span, story, whole) for span in story.spans if span.lane == lane)
        + "</dd>"
        for lane in lanes
    )
    ticks = "".join(f"<span>{_clock(story.at + whole * part // 4)}</span>" for part in range(5))
    return f'<dl class="strip" aria-label="The session at a glance">{rows}<dt></dt><dd class="ticks">{ticks}</dd></dl>'


def _bar(span: Span, story: Story, whole: int) -> str:
    until = span.until or story.until
    left, width = (span.at - story.at) / whole * 100, max(0.0, until - span.at) / whole * 100
    title = f"{span.what}: {_clock(span.at)}, {_span(until - span.at)}" + ("" if span.until else ", not over")
    return f'<i class="in-{span.lane} {span.tone}" style="left:{left:.3f}%;width:{width:.3f}%" title="{_e(title)}"></i>'


# --- the story -------------------------------------------------------------------------------------------------------


def _chapters(story: Story) -> str:
    parts: list[str] = []
    day = ""
    for chapter in story.chapters:
        if _day(chapter.at) != day:
            day = _day(chapter.at)
            parts.append(f'<h2 class="day">{day}</h2>')
        parts.append(_turn(chapter) if isinstance(chapter, Turn) else _mark(chapter))
    return "\n".join(parts) or '<p class="nothing">Nothing has happened yet.</p>'


def _turn(turn: Turn) -> str:
    tone = _OUTCOMES.get(turn.outcome, "warn")
    prompt = _block(turn.prompt, "prompt") if turn.prompt is not None else '<p class="none">began by itself</p>'
    items = "\n".join(_item(item) for item in turn.items)
    end = turn.outcome or "still running"
    reason = f" ({_e(turn.reason)})" if turn.reason not in {"", turn.outcome} else ""
    counts = turn.counts
    facts = [_span(turn.until - turn.at)] if turn.until else []
    if counts.requests:
        facts += [
            f"{_count(read_tokens(counts))} tokens read",
            f"{_count(counts.output)} written",
            "of unknown price" if turn.dollars is None else f"about {_dollars(turn.dollars)}",
        ]
    return f"""<article class="turn {tone}" id="p{turn.position}">
<h3><time>{_clock(turn.at)}</time> {_who(turn.by) if turn.by else ""} <span class="number">turn {turn.number}</span></h3>
{prompt}
<div class="items">
{items}
</div>
<p class="end"><span class="pill {tone}">{_e(end)}</span>{reason} <span class="facts">{_e(" · ".join(facts))}</span></p>
</article>"""


def _item(item: Item) -> str:
    match item:
        case Said():
            return f'<div class="said{_nested(item.nested)}">{_block(item.text, "text")}</div>'
        case Tool():
            return _tool(item)
        case Ask():
            return _ask(item)
        case Mark():
            return _mark(item)


def _tool(tool: Tool) -> str:
    state = "warn" if not tool.until else "bad" if tool.failed else "good"
    sign = {"warn": "…", "bad": "✗", "good": "✓"}[state]
    took = f"<small>{_span(tool.until - tool.at)}</small>" if tool.until else "<small>no result</small>"
    head = f'<span class="sign {state}">{sign}</span><b>{_e(tool.name)}</b> {_inline(tool.summary)}{took}'
    if tool.output is None or tool.output == "":
        return f'<div class="tool{_nested(tool.nested)}"><p>{head}</p></div>'
    return (
        f'<details class="tool{_nested(tool.nested)}"><summary>{head}</summary>'
        f"{_block(tool.output, 'output', fold=False)}</details>"
    )


def _ask(ask: Ask) -> str:
    tone, what = _CHOICES.get(ask.choice, ("warn", ask.choice))
    by = f" by {_who(ask.by)}" if ask.by else ""
    after = f" after {_span(ask.until - ask.at)}" if ask.until else ""
    return f"""<div class="ask {tone}"><p><time>{_clock(ask.at)}</time> May it use <b>{_e(ask.tool)}</b>?</p>
{_block(ask.question, "question")}
<p class="answer"><span class="pill {tone}">{_e(what)}</span>{by}{after}</p></div>"""


def _mark(mark: Mark) -> str:
    by = f" {_who(mark.by)}" if mark.by else ""
    detail = f" {_inline(mark.detail)}" if mark.detail else ""
    return f'<p class="mark {mark.tone}"><time>{_clock(mark.at)}</time>{by} <span>{_e(mark.text)}</span>{detail}</p>'


def _nested(nested: bool) -> str:  # noqa: FBT001 - a field
    return " nested" if nested else ""


# --- texts -----------------------------------------------------------------------------------------------------------


def _e(text: str) -> str:
    """Safe in HTML, in an attribute too, with nothing in it that hides or turns the direction."""
    lines = text.replace("\r\n", "\n").expandtabs(4).split("\n")
    return html.escape("\n".join(map(visible, lines)), quote=True)


def _block(text: Text, kind: str, *, fold: bool = True) -> str:
    if isinstance(text, Shut):
        return f'<p class="{kind}">{_shut(text)}</p>'
    body = f'<pre class="{kind}" dir="auto">{_e(text)}</pre>'
    if fold and (len(text) > _LONG or text.count("\n") > _MANY):
        first = text.strip().split("\n", 1)[0][:120]
        return f"<details><summary>{_e(first)} … <small>{_plural(len(text), 'character')}</small></summary>{body}</details>"
    return body


def _inline(text: Text) -> str:
    return _shut(text) if isinstance(text, Shut) else f"<code><bdi>{_e(text)}</bdi></code>"


def _shut(text: Shut) -> str:
    if text.erased:
        return '<span class="shut" title="Its key was destroyed: nobody can read it any more">erased</span>'
    return '<span class="shut" title="Opened with --texts and the key file">sealed</span>'


def _who(person: str) -> str:
    hue = sum(map(ord, person)) * 47 % 360
    return f'<bdi class="who" style="--hue:{hue}">{_e(person)}</bdi>'


# --- numbers ---------------------------------------------------------------------------------------------------------


def _moment(at: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at / _SECOND).astimezone()
    except (ValueError, OverflowError, OSError):  # somebody tampered with it
        return None


def _clock(at: int) -> str:
    moment = _moment(at)
    return f"{moment:%H:%M:%S}" if moment else f"{at} µs"


def _day(at: int) -> str:
    moment = _moment(at)
    return f"{moment:%A}, {moment.day} {moment:%B %Y}" if moment else "at no possible time"


def _zone(at: int) -> str:
    moment = _moment(at)
    return f"{moment:%Z, UTC%z}" if moment else "unknown"


def _until(began: int, ended: int) -> str:
    return f"after {_span(ended - began)}"


def _span(length: int) -> str:
    """A length of time in µs, in two parts at most."""
    seconds = max(0, length) / _SECOND
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes} min {whole % 60} s"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"


def read_tokens(counts: Counts) -> int:
    """What the model was given to read, from its cache or not."""
    return counts.input + counts.cache_read + counts.cache_write_5m + counts.cache_write_1h


def _count(number: int) -> str:
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:.1f} k" if number < 1_000_000 else f"{number / 1_000_000:.2f} M"


def _dollars(dollars: float | None) -> str:
    return "unknown" if dollars is None else f"${dollars:,.2f}"


def _plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
