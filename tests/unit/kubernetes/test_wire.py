"""What the API server says, made into sentences and exit statuses: as a 1.36 and a 1.20 say it."""

import json

import pytest

from adapters.kubernetes.api import refusal
from adapters.kubernetes.exec import exit_code
from engine.ports import TryAgain


def status(reason: str, message: str, *causes: tuple[str, str]) -> bytes:
    details = {"causes": [{"reason": why, "message": said} for why, said in causes]}
    return json.dumps({"status": "Failure", "reason": reason, "message": message, "details": details}).encode()


def test_exit_statuses() -> None:
    assert exit_code(b'{"metadata": {}, "status": "Success"}') == 0
    assert exit_code(status("NonZeroExitCode", "command terminated", ("ExitCode", "137"))) == 137


@pytest.mark.parametrize(
    "said",
    [
        status("InternalError", "no such file", ("", 'exec: "nope": executable file not found')),
        status("NonZeroExitCode", "odd", ("ExitCode", "seven")),
        b'{"status": "Failure"}',
        b"",
        b"\xff",
        b"[]",
    ],
)
def test_without_an_exit_status_it_is_not_known_how_it_ended(said: bytes) -> None:
    with pytest.raises(TryAgain):
        exit_code(said)


REFUSALS = [
    (403, "Forbidden", 'pods is forbidden: User "x" cannot create', "role in the cluster does not allow it", False),
    (403, "Forbidden", 'pods "p" is forbidden: maximum cpu usage per Container is 4', "limits do not allow it", True),
    (500, "InternalError", 'failed calling webhook "x": connection refused', "webhook of the cluster does not", False),
    (403, "Forbidden", "pods is forbidden: exceeded quota: sandboxes", "quota is used up", False),
    (403, "Forbidden", "pods is forbidden: status unknown for quota: sandboxes", "is being set up", False),
    (403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', "not allow such pods", True),
    (400, "BadRequest", 'admission webhook "w" denied the request: no', "a rule of the cluster forbids it", True),
    (422, "Invalid", "spec.containers[0].image: Required value", "invalid", True),
    (404, "NotFound", 'namespaces "x" not found', "not there", False),
    (401, "Unauthorized", "Unauthorized", "credentials need to be renewed", False),
    (500, "InternalError", "etcdserver: leader changed", "failed with status 500", False),
    (429, "TooManyRequests", "too many requests", "busy", False),
]


@pytest.mark.parametrize(("code", "reason", "message", "words", "permanent"), REFUSALS)
def test_a_refusal_is_a_sentence(code: int, reason: str, message: str, words: str, permanent: bool) -> None:  # noqa: FBT001 - one column
    error = refusal(code, status(reason, message), "create the pod")
    assert str(error).startswith("could not create the pod: ")
    assert words in str(error)
    assert message in str(error)
    assert (error.status, error.reason, error.permanent) == (code, reason, permanent)


def test_what_is_no_answer_of_an_api_server_is_told_by_its_status() -> None:
    assert str(refusal(502, b"<html>Bad Gateway", "look")) == "could not look: the cluster failed with status 502"


def test_what_the_server_says_is_cut_and_on_one_line() -> None:
    assert len(str(refusal(500, status("x", "long\n" * 1000), "look"))) < 400
    assert "\n" not in str(refusal(500, status("x", "a\nb"), "look"))
