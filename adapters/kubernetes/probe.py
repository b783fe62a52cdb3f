"""What can be reached from here: run in a sandbox before anything else is, and by the bot at the same time, as the control.

It promises an answer for every target within the time given, whatever the network does, and to leave no connection open. It uses
nothing but the standard library of Python 3.9 or newer: as a program (`python3 -I -c`, this file) it reads one line of JSON,
`{"seconds": …, "targets": [[kind, host, port], …]}`, and prints the list of what it found, in their order.

Kinds are `tcp` and `dns` (one question over UDP). A host that begins with `$` is what that variable says here. Found is one of

- `connected`: somebody answered
- `refused`: somebody said no: the way there is open
- `silent`: nothing came back in time
- `unreachable`: something on the way said no
- `nowhere`: from here there is no way to such an address, or no such address is known
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

CONNECTED, REFUSED, SILENT, UNREACHABLE, NOWHERE = "connected", "refused", "silent", "unreachable", "nowhere"

_NOWHERE = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_ANSWERED = {errno.ECONNREFUSED: REFUSED, errno.ECONNRESET: REFUSED}
# who is `kubernetes.default.svc.cluster.local`, class IN, type A; recursion desired
_QUESTION = bytes.fromhex("4d5a 0100 0001 0000 0000 0000") + (
    b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"
)


class Target(NamedTuple):
    """What is tried: `kind` is tcp or dns, `host` an address of IPv4 or IPv6, or `$VARIABLE`."""

    kind: str
    host: str
    port: int


def reach(targets: Sequence[Target], seconds: float) -> list[str]:
    """What was found at each target, all of them tried at once. Blocks for at most about `seconds`."""
    found = [SILENT] * len(targets)
    waiting: dict[socket.socket, tuple[int, str]] = {}
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for index, target in enumerate(targets):
            begun = _begin(target)
            if isinstance(begun, str):
                found[index] = begun
            else:
                waiting[begun] = (index, target.kind)
                selector.register(begun, selectors.EVENT_READ if target.kind == "dns" else selectors.EVENT_WRITE)
        while waiting and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                index, kind = waiting.pop(one)
                selector.unregister(one)
                found[index] = _end(one, kind)
                one.close()
        for one in waiting:
            one.close()
    return found


def _begin(target: Target) -> socket.socket | str:
    """A socket that is on its way, or what was found at once."""
    host = os.environ.get(target.host[1:], "") if target.host.startswith("$") else target.host
    if not host:
        return NOWHERE
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        one = socket.socket(family, socket.SOCK_DGRAM if target.kind == "dns" else socket.SOCK_STREAM)
    except OSError:
        return NOWHERE
    try:
        one.setblocking(False)
        status = one.connect_ex((host, target.port))
        if status in (0, errno.EINPROGRESS):
            if target.kind == "dns":
                one.send(_QUESTION)
            return one
    except OSError as error:
        status = error.errno or 0
    one.close()
    return _meaning(status)


def _end(one: socket.socket, kind: str) -> str:
    """What became of a socket that has something to say."""
    if kind != "dns":
        return _meaning(one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    try:
        one.recv(512)
    except OSError as error:
        return _meaning(error.errno or 0)
    return CONNECTED


def _meaning(status: int) -> str:
    if status == 0:
        return CONNECTED
    return NOWHERE if status in _NOWHERE else _ANSWERED.get(status, UNREACHABLE)


def main() -> None:
    """One line of JSON in, one out."""
    asked = json.loads(sys.stdin.readline())
    found = reach([Target(*target) for target in asked["targets"]], asked["seconds"])
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
