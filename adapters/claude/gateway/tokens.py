"""Session tokens: what a sandbox shows instead of a key. Pure.

A token names its session and reservation and carries a MAC over both, so it is made again whenever it is needed and stored
nowhere. It is worth nothing elsewhere or later: the gateway takes it only while its reservation is open. One for a repository
is good for reading that repository, and for nothing else: an installation's credential may open others.
"""

import base64
import hashlib
import hmac

_CONTEXT = b"discord-claude session token 1\0"
_PREFIX = "dc1"


def make(secret: bytes, session: str, reservation: str, repository: str = "") -> str:
    """The token of this session in this reservation; for the model, or for a repository (its name, as `repos` has it)."""
    return f"{_PREFIX}.{session}.{reservation}.{_mac(secret, session, reservation, repository)}"


def read(secret: bytes, token: str, repository: str = "") -> tuple[str, str] | None:
    """The session and reservation of a token of ours, for the model or that repository; None for anything else."""
    parts = token.split(".")
    if len(parts) != 4 or parts[0] != _PREFIX or not token.isascii():
        return None
    _, session, reservation, mac = parts
    if not hmac.compare_digest(mac.encode(), _mac(secret, session, reservation, repository).encode()):
        return None
    return session, reservation


def _mac(secret: bytes, session: str, reservation: str, repository: str) -> str:
    # `.` cannot be part of either: the token is split at it
    message = _CONTEXT + f"{session}.{reservation}".encode() + (b"\0" + repository.encode() if repository else b"")
    return base64.urlsafe_b64encode(hmac.digest(secret, message, hashlib.sha256)).rstrip(b"=").decode()
