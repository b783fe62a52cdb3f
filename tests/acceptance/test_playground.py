"""The main job, the whole way, as somebody at a terminal: the commands of the README, and what they say when they cannot."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from adapters.local import people_script
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
def _playground(folder: Path, *arguments: str, until: str) -> Generator[subprocess.Popen[str]]:
    """A playground that has said `until`; Ctrl-C is pressed in the end."""
    command = [sys.executable, "-m", "adapters.cli", "playground", "--folder", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert any(until in line for line in process.stdout)
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)


def _arguments(processes: Iterable[psutil.Process]) -> str:
    """What they were started with, a line each."""
    lines: list[str] = []
    for process in processes:
        with suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return "\n".join(lines)


def _of(folder: Path) -> list[psutil.Process]:
    """The processes that have this folder in their arguments or environment."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(process)
    return found


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):  # a tool that has ended
        return process.children(recursive=True)
    return []


@pytest.mark.cli
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_the_script_plays_a_whole_conversation(language: str, tmp_path: Path) -> None:
    played = _run("playground", "--folder", str(tmp_path / "p"), "--script", "--lang", language)
    assert played.returncode == 0, played.stdout + played.stderr
    parts = [line.split()[2] for line in played.stdout.splitlines() if line.endswith(" …")]
    assert parts == ["postgres", "model", "gateway", "discord", "bot", "panel"]
    happened = [line.partition("✓ ")[2].partition(" — ")[0] for line in played.stdout.splitlines() if "✓ " in line]
    assert list(dict.fromkeys(happened)) == list(LANGUAGES[language].steps.values())
    assert f"@{LANGUAGES[language].person}" in played.stdout
    assert "<@" not in played.stdout
    assert not _arguments(_of(tmp_path))


@pytest.mark.cli
@pytest.mark.parametrize("language", sorted(people_script.LANGUAGES))
def test_the_script_of_people_plays_from_the_first_request_to_the_removal(language: str, tmp_path: Path) -> None:
    played = _run("playground", "--folder", str(tmp_path / "p"), "--script", "people", "--lang", language)
    assert played.returncode == 0, played.stdout + played.stderr
    happened = [line.partition("✓ ")[2].partition(" — ")[0] for line in played.stdout.splitlines() if "✓ " in line]
    assert list(dict.fromkeys(happened)) == list(people_script.LANGUAGES[language].steps.values())
    assert "<@" not in played.stdout
    assert not _arguments(_of(tmp_path))


def test_an_unknown_script_is_refused(tmp_path: Path) -> None:
    refused = _run("playground", "--folder", str(tmp_path / "p"), "--script", "dogs")
    assert refused.returncode == 2
    assert "conversation and people" in refused.stderr
    refused = _run("playground", "people", "--folder", str(tmp_path / "p"))
    assert refused.returncode == 2
    assert "--script people" in refused.stderr


@pytest.mark.cli
def test_nothing_outlives_a_conversation_that_is_interrupted(tmp_path: Path) -> None:
    with _playground(tmp_path, "--script", until=f"✓ {LANGUAGES['en'].steps['ask']}") as process:
        running = {*_of(tmp_path), *_descendants(psutil.Process(process.pid))}
        for part in ("postgres -D", "local.model", "cli gateway", "local.discord", "cli run", "supervisor.py run"):
            assert part in _arguments(running)
        running |= {child for one in _of(tmp_path) for child in _descendants(one)}
        assert "claude -p" in _arguments(running)
    assert process.returncode == 130
    assert not _arguments(one for one in running if one.is_running())
    assert not _arguments(_of(tmp_path))


def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with _playground(tmp_path, until="bot: process") as process:
        second = _run("playground", "--folder", str(tmp_path))
        assert second.returncode == 1
        assert f"a playground runs in {tmp_path} already (process {process.pid})" in second.stderr
        assert "another --folder" in second.stderr
    assert process.returncode == 0
    assert not _arguments(_of(tmp_path))


def test_missing_settings_are_named_all_at_once() -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    refused = _run("run", environment=bare)
    assert refused.returncode == 2
    for name in ("DISCORD_TOKEN", "DISCORD_GUILD_ID", "DB_HOST", "DB_NAME", "LOG_KEY_FILE"):
        assert name in refused.stderr


def test_the_real_model_needs_its_key(tmp_path: Path) -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    refused = _run("playground", "--folder", str(tmp_path), "--real", environment=bare)
    assert refused.returncode == 2
    assert "CLAUDE_API_KEY" in refused.stderr


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    refused = _run("playground", "--folder", str(tmp_path / "p"), "--script", "--lang", "xx")
    assert refused.returncode == 2
    assert "en and ja" in refused.stderr
