"""The sub-command `audit`: a session's story, in the terminal or as a page."""

# ruff: noqa: D417 - `where` and `shown` tell their own arguments

import time
from functools import partial
from pathlib import Path

import msgspec

from adapters.audit.commands import run_with, texts_of, write_json
from adapters.audit.page import render
from adapters.audit.show import Screen, clock, short
from adapters.audit.source import Misused, Shown, Source, Where
from adapters.audit.story import Ask, Item, Mark, Said, Story, Tool, Turn, tell
from adapters.audit.views import price_list
from projections.prices import Prices

_WHERE, _SHOWN = Where(), Shown()
_TONES = {"good": "green", "warn": "yellow", "bad": "red", "plain": "grey"}
_OUTCOMES = {"completed": "green", "failed": "red", "cut": "red"}


def audit(
    thread: str,
    /,
    *,
    html: Path | None = None,
    prices: Path | None = None,
    where: Where = _WHERE,
    shown: Shown = _SHOWN,
) -> int:
    """A thread's story: prompts, what Claude did, who allowed it, what it cost, the life of its sandbox.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 no such thread.

    Parameters
    ----------
    thread
        The thread's or the session's id.
    html
        Write it as one page to this file: it stands alone, without network, and prints. Written over when it exists.
    prices
        A JSON file with your own prices, as `usage` takes it.

    """
    if html and shown.json:
        raise Misused("--html and --json: one of them")
    return run_with(where, partial(_audit, thread, html, price_list(prices), shown))


async def _audit(thread: str, path: Path | None, prices: Prices, shown: Shown, source: Source) -> None:
    session = await source.session(thread)
    texts = await texts_of(source, shown)
    events = [(stored, await texts.body(stored)) for stored in await source.history.of_session(session)]
    story = tell(session, events, prices)
    if path:
        _write(path, render(story, made=time.time_ns() // 1000, installation=await source.history.installation()))
        Screen().line(f"wrote {path}")
    elif shown.json:
        write_json(msgspec.to_builtins(story))
    else:
        _show(story, Screen())


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Misused(f"--html {path} cannot be written: {error.strerror}") from None


def _show(story: Story, screen: Screen) -> None:
    turns = sum(isinstance(one, Turn) for one in story.chapters)
    cost = "no price" if story.dollars is None else f"about ${story.dollars:,.2f}"
    head = f"thread {story.thread or '-'}, session {story.session}, started by {story.starter or '-'}"
    screen.line(screen.colour("bold", head))
    screen.line(f"{turns} turns, {story.counts.input + story.counts.output} tokens, {cost}")
    for chapter in story.chapters:
        if isinstance(chapter, Mark):
            screen.line(_line(chapter, screen))
            continue
        screen.line()
        asked = "began by itself" if chapter.prompt is None else short(chapter.prompt)
        screen.line(f"{_at(chapter.at, screen)}  {screen.colour('bold', chapter.by)}  {asked}")
        for item in chapter.items:
            screen.line("  " + _line(item, screen))
        outcome = chapter.outcome or "still running"
        reason = f" {short(chapter.reason)}" if chapter.reason else ""
        screen.line(f"  {screen.colour(_OUTCOMES.get(outcome, 'yellow'), outcome)}{reason}")


def _line(item: Item, screen: Screen) -> str:
    at = _at(item.at, screen)
    match item:
        case Said():
            return f"{at}  {short(item.text)}"
        case Tool():
            sign = ("red", "✗") if item.failed else ("green", "✓") if item.until else ("yellow", "…")
            return f"{at}  {screen.colour(*sign)} {short(item.name)}  {short(item.summary)}"
        case Ask():
            decided = f"{item.choice or 'waits'}{f' by {item.by}' if item.by else ''}"
            return f"{at}  ? {short(item.tool)}  {short(item.question)}  {screen.colour('yellow', decided)}"
        case Mark():
            detail = f"  {short(item.detail)}" if item.detail else ""
            return f"{at}  {screen.colour(_TONES[item.tone], item.text)}{f'  {item.by}' if item.by else ''}{detail}"


def _at(at: int, screen: Screen) -> str:
    return screen.colour("grey", clock(at)[:19])
