"""The main job, the whole way, as somebody at a terminal: the commands of the README, and what they say when they cannot."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from adapters.local.script import LANGUAGES

SECONDS = 100


def _run(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adapters.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment,
    )


@contextmanager
def _playground(folder: Path) -> Generator[subprocess.Popen[str]]:
    """A playground that is up, with everybody in it."""
    arguments = [sys.executable, "-m", "adapters.cli", "playground", "--folder", str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if "bot: process" in line:
                    break
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)


def _named(folder: Path) -> list[str]:
    found: list[list[str]] = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [" ".join(line) for line in found if str(folder) in " ".join(line)]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_the_script_plays_a_whole_conversation(language: str, tmp_path: Path) -> None:
    played = _run("playground", "--folder", str(tmp_path / "p"), "--script", "--lang", language)
    assert played.returncode == 0, played.stdout + played.stderr
    steps = [step for step in LANGUAGES[language].steps.values() if f"✓ {step}" in played.stdout]
    assert steps == list(LANGUAGES[language].steps.values())


def test_nothing_outlives_it_and_a_second_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with _playground(folder):
        assert _named(folder)
        second = _run("playground", "--folder", str(folder))
        assert second.returncode == 1
        assert "a playground runs in" in second.stderr
        assert "another --folder" in second.stderr
    assert not _named(folder)


def test_missing_settings_are_named_all_at_once() -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    refused = _run("run", environment=bare)
    assert refused.returncode == 2
    for name in ("DISCORD_TOKEN", "DISCORD_GUILD_ID", "DB_HOST", "DB_NAME", "LOG_KEY_FILE"):
        assert name in refused.stderr


def test_the_real_model_needs_its_key(tmp_path: Path) -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    refused = _run("playground", "--folder", str(tmp_path), "--real", environment=bare)
    assert refused.returncode == 1
    assert "CLAUDE_API_KEY" in refused.stderr


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    refused = _run("playground", "--folder", str(tmp_path / "p"), "--script", "--lang", "xx")
    assert refused.returncode == 1
    assert "en and ja" in refused.stderr
