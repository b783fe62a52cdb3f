"""What people can set, say or read in the log is named in a README. It grows by itself: the names come from the code."""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from adapters import settings
from adapters.metrics import Metrics
from schema import events


class Asked(dict[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # narrower on purpose: settings ask this way
        self.names.add(key)
        return default


@pytest.fixture(scope="module")
def documentation(files: list[Path]) -> str:
    return "\n".join(path.read_text() for path in files if path.name == "README.md")


@pytest.mark.parametrize("load", [settings.load, settings.load_gateway])
def test_every_setting_is_told(load: Callable[[Mapping[str, str]], object], root: Path) -> None:
    asked = Asked()
    asked["KUBERNETES_NAMESPACE"] = "sandboxes"  # more is asked for then
    with pytest.raises(settings.SettingsError):
        load(asked)
    assert len(asked.names) > 5
    table = (root / "deploy" / "README.md").read_text()
    assert not [name for name in sorted(asked.names) if f"`{name}`" not in table]


def test_every_metric_is_told(root: Path) -> None:
    table = (root / "deploy" / "README.md").read_text()
    ours = [family for family in Metrics().registry.collect() if family.name.startswith("discord_claude_")]
    assert len(ours) > 5
    names = [f"{family.name}_total" if family.type == "counter" else family.name for family in ours]
    assert not [name for name in names if f"`{name}`" not in table]


def test_every_kind_of_event_is_told(documentation: str) -> None:
    tags = sorted(event.__struct_config__.tag for event in get_args(events.Event))
    assert tags
    assert not [tag for tag in tags if f"`{tag}`" not in documentation]


def test_every_command_is_told(root: Path) -> None:
    described = (root / "adapters" / "discord" / "texts" / "en.ftl").read_text()
    commands = set(re.findall(r"^cmd-(\w+) =", described, re.MULTILINE)) - {"claude"}
    assert commands >= {"start", "stop", "status", "close"}
    readme = (root / "README.md").read_text()
    assert not [name for name in sorted(commands) if readme.count(f"/claude {name}") < 2]  # once in each language


def test_every_make_target_explains_itself_and_is_told(root: Path, documentation: str) -> None:
    makefile = (root / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)
    assert set(targets) == set(re.findall(r"^([a-z]+):.* ## \S", makefile, re.MULTILINE))
    assert {"playground", "test", "lint", "bench", "drill"} <= set(targets)
    assert not [name for name in targets if name not in {"help", "clean"} and f"make {name}" not in documentation]


def test_no_readme_has_a_broken_link(files: list[Path]) -> None:
    broken = [
        f"{path.parent.name}/{path.name}: {target}"
        for path in files
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert not broken


def test_the_lock_files_name_no_index_and_hash_everything(root: Path) -> None:
    locks = sorted((root / "deploy").glob("*.lock"))
    assert locks
    for lock in locks:
        lines = lock.read_text().splitlines()
        assert all(re.match(r"[\w.-]+==|    --hash=sha256:[0-9a-f]{64}", line) for line in lines), lock.name
        assert all("    --hash" in after for line, after in pairwise(lines) if "==" in line), lock.name
