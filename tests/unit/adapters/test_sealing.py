import base64
import stat
from pathlib import Path

import pytest

from adapters.sealing import Cipher, MasterKey, new_key, open_text, seal_text
from engine.ports import GiveUp
from schema.sealed import key_id


def test_a_new_key_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    created = MasterKey.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert MasterKey.load(path).derive("x") == created.derive("x")


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    MasterKey.create(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        MasterKey.create(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"not base64!", base64.b64encode(bytes(31)), base64.b64encode(bytes(33)), b"\xff\xfe", b"QUFB\nQUFB"],
)
def test_a_file_with_something_else_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(GiveUp, match=r"LOG_KEY_FILE .* must hold 32 random bytes") as caught:
        MasterKey.load(path)
    assert not content or content.decode(errors="replace") not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match=r"LOG_KEY_FILE .*/nowhere cannot be read: No such file"):
        MasterKey.load(tmp_path / "nowhere")


def test_each_purpose_has_a_key_of_its_own() -> None:
    master = MasterKey(bytes(32))
    assert len({master.derive("a"), master.derive("b"), MasterKey(new_key()).derive("a"), bytes(32)}) == 4


def test_a_text_opens_under_its_key_only() -> None:
    one, other = Cipher(new_key()), Cipher(new_key())
    box = seal_text(one, 5, "text")
    assert key_id(box) == 5
    assert open_text(one, box) == "text"
    with pytest.raises(GiveUp, match="tampered"):
        open_text(other, box)
