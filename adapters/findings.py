"""What `discord-claude check` finds: one line each, and what to do about it."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`state`: ok, wrong, or note (nothing is wrong with it, or it could not be looked at from here). `fix`: what to do."""

    what: str
    state: Literal["ok", "wrong", "note"]
    says: str
    fix: str = ""


def ok(what: str, says: str) -> Finding:
    return Finding(what=what, state="ok", says=says)


def wrong(what: str, says: str, fix: str) -> Finding:
    return Finding(what=what, state="wrong", says=says, fix=fix)


def note(what: str, says: str, fix: str = "") -> Finding:
    return Finding(what=what, state="note", says=says, fix=fix)
