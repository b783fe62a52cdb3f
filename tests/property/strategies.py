"""Any event, fact and command: made from the types of the structs' fields, with few names, so that they meet."""

from types import UnionType
from typing import Any, get_args

import hypothesis.strategies as st
from msgspec import inspect

from engine.commands import Command, Context
from schema.events import Erased, SessionEvent, SlotsEvent, UsageCounted

_NAMES = [
    "",
    "1",
    "2",
    "3",
    "s-1",
    "retry",
    "allow",
    "stop:1",
    "prompt:1",
    "attach",
    "show",
    "reply:1",
    "deleted",
    "open",
]
_PARTS = ["head", "turn:1", "turn:2", "ask:1", "queued:1", "cut:1", "note:1"]


def any_of(union: UnionType) -> st.SearchStrategy[Any]:
    """Any struct of a union of structs."""
    return st.one_of([_struct(one) for one in get_args(union)])


def _struct(struct: type[Any]) -> st.SearchStrategy[Any]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return st.builds(struct, **{field.name: _values(field.type, field.name) for field in info.fields})


def _values(kind: inspect.Type, name: str = "") -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a case a type
    match kind:
        case inspect.StrType():
            return st.sampled_from(_PARTS if name == "part" else _NAMES)
        case inspect.IntType():
            return st.integers(0, 4)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.BytesType():
            return st.just(b"sealed")
        case inspect.EnumType():
            return st.sampled_from(list(kind.cls))
        case inspect.UnionType():
            return st.one_of([_values(one) for one in kind.types])
        case inspect.VarTupleType():
            return st.lists(_values(kind.item_type), max_size=3).map(tuple)
        case inspect.StructType():
            return _struct(kind.cls)
        case _:
            raise NotImplementedError(kind)


SESSION_EVENTS = any_of(SessionEvent)
SLOTS_EVENTS = any_of(SlotsEvent)
VIEW_EVENTS = any_of(UsageCounted | Erased)
COMMANDS = any_of(Command)
CONTEXTS = _struct(Context)
