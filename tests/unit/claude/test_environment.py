import io
import json
import tarfile
from pathlib import Path

import pytest

from adapters.claude.environment import LARGEST, Environment, read_environment
from engine.ports import GiveUp

PLACED = {
    "CLAUDE.md": b"Be brief. @style.md",
    "style.md": "簡潔に".encode(),
    "settings.json": b'{"env": {"EDITOR": "true"}}',
    "commands/git/review.md": b"Review $ARGUMENTS",
    "hooks/start.sh": b"#!/bin/sh\n",
    "skills/pdf/SKILL.md": b"---\nname: pdf\n---",
}
SECRET = {
    ".credentials.json": b"{}",
    ".claude.json": b"{}",
    "projects/-home/1.jsonl": b"{}",
    "history.jsonl": b"{}",
    "settings.local.json": b"{}",
    "skills/.git/config": b"",
}


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    return root


def unpacked(environment: Environment) -> dict[str, tuple[bytes, int]]:
    with tarfile.open(fileobj=io.BytesIO(environment.archive)) as tar:
        return {one.name: ((tar.extractfile(one) or io.BytesIO()).read(), one.mode) for one in tar}


def test_what_is_claudes_is_taken_and_nothing_else(tmp_path: Path) -> None:
    environment = read_environment(folder(tmp_path, PLACED | SECRET))
    found = unpacked(environment)
    assert {name: data for name, (data, _) in found.items()} == PLACED
    assert {name for name, (_, mode) in found.items() if mode == 0o700} == {"hooks/start.sh"}
    assert environment.names == tuple(sorted(PLACED))
    assert environment.left_out == tuple(sorted(SECRET))


def test_a_tar_is_as_good_as_a_folder(tmp_path: Path) -> None:
    root, archive = folder(tmp_path / "folder", PLACED | SECRET), tmp_path / "config.tar"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root, ".")
    assert read_environment(archive) == read_environment(root)


def test_a_mounted_configmap_is_read_through_its_links_and_not_beyond(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    root = tmp_path / "mounted"
    folder(root / "..2026", {"CLAUDE.md": b"hello"})
    (root / "..data").symlink_to("..2026")
    (root / "CLAUDE.md").symlink_to("..data/CLAUDE.md")
    (root / "out.md").symlink_to("../secret.md")
    (root / "gone.md").symlink_to("nowhere")
    assert unpacked(read_environment(root)) == {"CLAUDE.md": (b"hello", 0o600)}


def test_without_a_path_claude_is_told_where_it_is() -> None:
    environment = read_environment(None)
    assert environment.names == ("CLAUDE.md",)
    assert b"Discord thread" in unpacked(environment)["CLAUDE.md"][0]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"settings.json": b'{"hooks": '}, "settings.json is not JSON, and Claude Code would ignore it"),
        ({"settings.json": b"[]"}, "settings.json is not a JSON object"),
        ({"settings.json": json.dumps({"env": {"ANTHROPIC_BASE_URL": "x"}}).encode()}, "sets ANTHROPIC_BASE_URL"),
        ({"settings.json": b'{"apiKeyHelper": "x"}'}, "sets apiKeyHelper"),
        ({"CLAUDE.md": b"caf\xe9"}, "CLAUDE.md is not UTF-8"),
        ({"skills/big/data": b"x" * (LARGEST + 1)}, f"holds {LARGEST + 1} bytes"),
    ],
)
def test_what_would_not_do_what_was_meant_is_refused(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    with pytest.raises(GiveUp, match=said):
        read_environment(folder(tmp_path, files))


def test_a_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CLAUDE.md"
    path.write_text("hello")
    with pytest.raises(GiveUp, match="cannot be read"):
        read_environment(path)
