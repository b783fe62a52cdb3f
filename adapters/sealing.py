"""Cryptography: the key outside the database, what is derived from it, and the boxes that personal text is kept in.

AES-256-GCM throughout, with random nonces: a key seals far fewer than the 2^32 texts that those are good for. What a box
belongs to is authenticated with it, so a box or a wrapped key moved to another place does not open there.
"""

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.ports import GiveUp
from schema.sealed import FORMAT, HEADER, Sealed

_KEY = 32  # bytes
_NONCE = 12  # bytes
_PREFIX = HEADER - _NONCE  # format and key id


class MasterKey:
    """The key in LOG_KEY_FILE. Whoever has it and the database can read everything; without it nobody can."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def load(cls, path: Path) -> "MasterKey":
        """Raises GiveUp when there is no such key in the file."""
        try:
            secret = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
        except OSError as error:
            raise GiveUp(f"LOG_KEY_FILE {path} cannot be read: {error.strerror}") from None
        except (binascii.Error, UnicodeDecodeError):
            secret = b""
        if len(secret) != _KEY:
            raise GiveUp(f"LOG_KEY_FILE {path} must hold {_KEY} random bytes in base64 and nothing else")
        return cls(secret)

    @classmethod
    def create(cls, path: Path) -> "MasterKey":
        """Write a new one, for nobody else to read. Raises FileExistsError: a key is never replaced."""
        secret = os.urandom(_KEY)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(base64.b64encode(secret).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return cls(secret)

    def derive(self, purpose: str) -> bytes:
        """A key for one purpose: knowing it tells nothing about this one or any other."""
        return HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=f"discord-claude {purpose}".encode()).derive(
            self._secret
        )

    def cipher(self, purpose: str) -> "Cipher":
        """A cipher under the key for `purpose`."""
        return Cipher(self.derive(purpose))


class Cipher:
    """Seals bytes, bound to what they belong to (`about`)."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, data: bytes, about: bytes) -> bytes:
        """Nonce and ciphertext."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, data, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Raises GiveUp when it was sealed under another key, about something else, or changed since."""
        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
        except (InvalidTag, ValueError):
            raise GiveUp("a sealed text was tampered with, or sealed under another key") from None


def new_key() -> bytes:
    """A key for one (scope, person)."""
    return AESGCM.generate_key(bit_length=_KEY * 8)


def seal_data(cipher: Cipher, key_id: int, data: bytes) -> Sealed:
    """`data` in a box that names its key."""
    prefix = bytes([FORMAT]) + key_id.to_bytes(8, "big")
    return Sealed(prefix + cipher.seal(data, prefix))


def open_data(cipher: Cipher, box: Sealed) -> bytes:
    """What `seal_data` sealed. Raises GiveUp."""
    return cipher.open(box[_PREFIX:], box[:_PREFIX])


def seal_text(cipher: Cipher, key_id: int, text: str) -> Sealed:
    """`text` in a box that names its key."""
    return seal_data(cipher, key_id, text.encode())


def open_text(cipher: Cipher, box: Sealed) -> str:
    """What `seal_text` sealed. Raises GiveUp."""
    return open_data(cipher, box).decode()
