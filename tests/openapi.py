"""Discord's own OpenAPI document as the judge of what is sent to Discord and of what the local one answers.

The document is not ours to ship: it is looked for in the folder `shared` beside the checkout. Where it and Discord differ, the
difference is named here (`_as_documented`), and nowhere else.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

Json = dict[str, Any]

_FILE = Path(__file__).resolve().parents[1].with_name("shared") / "data" / "discord-openapi.json"
_PARAMETER = re.compile(r"\{(\w+)\}")


class Document:
    """The document. A call is what the local Discord records of one: `method`, `path`, `asked`, `status`, `answer`."""

    def __init__(self, text: str) -> None:
        loaded: Json = json.loads(text)
        self._paths: dict[str, Json] = loaded["paths"]
        self._answers: Json = {"components": loaded["components"]}
        self._requests: Json = {"components": _closed(loaded["components"])}
        # of several that fit, the one with the fewest parameters: `@original` is no message id
        order = sorted(self._paths, key=lambda path: len(_PARAMETER.findall(path)))
        self._patterns = [(path, re.compile(_PARAMETER.sub("[^/]+", path))) for path in order]
        self._validators: dict[str, Draft202012Validator] = {}

    def operation(self, call: Json) -> str:
        """What is called, as `POST /channels/{channel_id}/messages`. Raises LookupError when Discord has no such thing."""
        for path, pattern in self._patterns:
            if pattern.fullmatch(call["path"]) and call["method"].lower() in self._paths[path]:
                return f"{call['method']} {path}"
        raise LookupError(f"Discord has no {call['method']} {call['path']}")

    def problems(self, call: Json) -> list[str]:
        """What is wrong with the request and with the answer of one call."""
        try:
            operation = self.operation(call)
        except LookupError as error:
            return [str(error)]
        method, _, path = operation.partition(" ")
        described = self._paths[path][method.lower()]
        found = self._wrong_answer(operation, described["responses"], call)
        accepted = call["status"] < 400
        return found + (self._wrong_request(operation, described.get("requestBody"), call) if accepted else [])

    def _wrong_request(self, operation: str, described: Json | None, call: Json) -> list[str]:
        if described is None:
            return [f"{operation} takes no body"] if call["asked"] else []
        schema = described["content"]["application/json"]["schema"]
        return self._wrong(f"request of {operation}", self._requests, schema, _as_documented(call["asked"]))

    def _wrong_answer(self, operation: str, described: Json, call: Json) -> list[str]:
        status = str(call["status"])
        answer = described.get(status) or (described.get("4XX") if status.startswith("4") else None)
        if answer is None:
            return [f"{operation} never answers {status}"]
        if "$ref" in answer:
            answer = self._answers["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if "content" not in answer:
            return [] if call["answer"] is None else [f"{operation} answers {status} with no body"]
        schema = answer["content"]["application/json"]["schema"]
        return self._wrong(f"answer {status} of {operation}", self._answers, schema, _as_documented(call["answer"]))

    def _wrong(self, what: str, components: Json, schema: Json, body: Any) -> list[str]:
        if what not in self._validators:
            self._validators[what] = Draft202012Validator(components | schema)
        errors = self._validators[what].iter_errors(body)  # pyright: ignore[reportUnknownMemberType] - a deprecated overload
        return [f"{what}: {one.json_path}: {one.message[:300]}" for one in errors]


@cache
def document() -> Document | None:
    """The document, None where it is not."""
    return Document(_FILE.read_text(encoding="utf-8")) if _FILE.is_file() else None


def undocumented(calls: Iterable[Json]) -> list[str]:
    """Everything that is wrong with these calls; nothing where the document is not. Ids and times do not make a call another."""
    judge = document()
    if judge is None:
        return []
    different = {re.sub(r"\d+", "0", json.dumps(call)): call for call in calls}
    return sorted({problem for call in different.values() for problem in judge.problems(call)})


def _closed(schema: Any) -> Any:
    """The same schemas, which take no field that they do not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]  # pyright: ignore[reportUnknownVariableType] - JSON
    if not isinstance(schema, dict):
        return schema
    closed: Json = {name: _closed(one) for name, one in schema.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict) and "allOf" not in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _as_documented(body: Any) -> Any:
    """`body` as the document has it. Discord takes the number of an attachment also as an int; the codes of its `errors` are
    words (`BASE_TYPE_MAX_LENGTH`) where the document says numbers; a 429 has a `code` for some limits only.
    """
    if not isinstance(body, dict):
        return body
    changed: Json = dict(body)  # pyright: ignore[reportUnknownArgumentType] - JSON
    if "retry_after" in changed:
        changed.setdefault("code", 0)
    for name in ("data", "attachments", "errors"):
        if name == "attachments" and isinstance(changed.get(name), list):
            changed[name] = [one | {"id": str(one["id"])} for one in changed[name]]
        elif name == "errors" and name in changed:
            changed[name] = {}
        elif name in changed:
            changed[name] = _as_documented(changed[name])
    return changed
