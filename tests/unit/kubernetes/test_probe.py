"""The probe against sockets of this machine, as a function and as the program that runs in a sandbox."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator

import pytest

from adapters.kubernetes.gate import PROGRAM
from adapters.kubernetes.probe import CONNECTED, NOWHERE, REFUSED, SILENT, Target, reach

HERE = "127.0.0.1"


@pytest.fixture
def serving() -> Generator[Target]:
    with socket.create_server((HERE, 0)) as server:
        yield Target("tcp", HERE, server.getsockname()[1])


@pytest.fixture
def deaf() -> Generator[Target]:
    """Takes questions and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HERE, 0))
        yield Target("dns", HERE, server.getsockname()[1])


@pytest.fixture
def closed() -> Target:
    with socket.create_server((HERE, 0)) as server:
        return Target("tcp", HERE, server.getsockname()[1])


def test_each_target_is_answered_for_in_the_time_of_one(serving: Target, deaf: Target, closed: Target) -> None:
    began = time.monotonic()
    found = reach([deaf, serving, closed, deaf, closed._replace(kind="dns"), Target("tcp", "$NOT_SET", 1)], 0.2)
    assert found == [SILENT, CONNECTED, REFUSED, SILENT, REFUSED, NOWHERE]
    assert 0.2 <= time.monotonic() - began < 0.4


def test_what_is_answered_at_once_is_not_waited_for(serving: Target) -> None:
    began = time.monotonic()
    assert reach([serving] * 30, 30) == [CONNECTED] * 30
    assert time.monotonic() - began < 10


def test_an_answer_to_a_question_counts() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HERE, 0))
        name = Target("dns", HERE, server.getsockname()[1])
        program = _start()
        assert program.stdin
        program.stdin.write(json.dumps({"seconds": 30, "targets": [name]}) + "\n")
        program.stdin.flush()
        server.settimeout(30)
        question, who = server.recvfrom(512)
        assert b"kubernetes\x07default" in question
        server.sendto(question, who)
        assert program.communicate()[0] == '["connected"]\n'


def test_the_program_needs_no_end_of_its_input_and_reads_its_own_environment(serving: Target) -> None:
    program = _start({"KUBERNETES_SERVICE_HOST": HERE})
    assert program.stdin
    assert program.stdout
    target = serving._replace(host="$KUBERNETES_SERVICE_HOST")
    program.stdin.write(json.dumps({"seconds": 30, "targets": [target]}) + "\n")
    program.stdin.flush()
    assert program.stdout.readline() == '["connected"]\n'
    program.communicate()
    assert program.returncode == 0


def _start(environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    argv = [sys.executable, *PROGRAM[1:]]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
