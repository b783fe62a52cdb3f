"""What operators place in every sandbox: CLAUDE.md, rules, commands, skills, agents, hooks, settings.json.

Taken from `CLAUDE_CONFIG_PATH`, a folder or a tar of one (a Kubernetes ConfigMap cannot hold names with `/`), or the default
beside this module. Only what is listed here is taken: whoever names their own `~/.claude` gives away no credentials and no
history (design.md §5). What Claude Code would ignore in silence is an error here (claude-code.md §6).
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, cast

import msgspec

from engine.ports import GiveUp

LARGEST = 4 << 20
"""Bytes of all files together."""

_DEFAULT = Path(__file__).with_name("default")
_FOLDERS = frozenset({"rules", "commands", "skills", "agents", "hooks", "output-styles"})
_SETTINGS = "settings.json"
_ROUND_THE_GATEWAY = ("ANTHROPIC_", "CLAUDE_CODE_USE_")
_HELPERS = ("apiKeyHelper", "awsAuthRefresh", "awsCredentialExport")

Files = Mapping[str, tuple[bytes, bool]]
"""Content, and whether it may be executed, by name below the CLI's user directory."""


class Environment(msgspec.Struct, frozen=True):
    """`archive`: a tar of the files, the same for the same files. `left_out`: what was there too and is not placed."""

    archive: bytes
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def read_environment(path: Path | None) -> Environment:
    """Everything to place. Raises GiveUp: what is wrong with which file."""
    try:
        found = _from_tar(path) if path and path.is_file() else _from_folder(path or _DEFAULT)
    except (OSError, tarfile.TarError) as error:
        raise GiveUp(f"CLAUDE_CONFIG_PATH cannot be read: {error}") from None
    taken = {name: file for name, file in found.items() if _belongs(PurePosixPath(name))}
    check(taken)
    names = tuple(sorted(taken))
    return Environment(_archive(taken), names, tuple(sorted(found.keys() - taken.keys())))


def _belongs(name: PurePosixPath) -> bool:
    if any(part in ("", ".", "..", ".git") for part in name.parts) or name.is_absolute():
        return False
    if len(name.parts) == 1:
        return name.suffix == ".md" or name.name == _SETTINGS
    return name.parts[0] in _FOLDERS


def check(files: Files) -> None:
    """Raises GiveUp when Claude Code would not do with these files what whoever wrote them expects."""
    size = sum(len(data) for data, _ in files.values())
    if size > LARGEST:
        raise GiveUp(f"CLAUDE_CONFIG_PATH holds {size} bytes to place; at most {LARGEST} can be")
    if _SETTINGS in files:
        _check_settings(files[_SETTINGS][0])
    for name, (data, _) in files.items():
        if name.endswith((".md", ".json")):
            try:
                data.decode()
            except UnicodeDecodeError as error:
                raise GiveUp(f"CLAUDE_CONFIG_PATH: {name} is not UTF-8 (byte {error.start})") from None


def _check_settings(data: bytes) -> None:
    where = f"CLAUDE_CONFIG_PATH: {_SETTINGS}"
    try:
        settings: Any = json.loads(data)
    except ValueError as error:
        raise GiveUp(f"{where} is not JSON, and Claude Code would ignore it in silence: {error}") from None
    if not isinstance(settings, dict):
        raise GiveUp(f"{where} is not a JSON object, and Claude Code would ignore it in silence")
    known = cast("dict[str, Any]", settings)
    environ: Any = known.get("env", {})
    names = [str(name) for name in cast("Iterable[object]", environ)] if isinstance(environ, dict) else []
    around = [name for name in names if name.startswith(_ROUND_THE_GATEWAY)]
    around += [name for name in _HELPERS if name in known]
    if around:
        raise GiveUp(f"{where} sets {', '.join(around)}: sandboxes reach the model through the gateway only; remove it")


def _from_folder(root: Path) -> dict[str, tuple[bytes, bool]]:
    """Symbolic links are followed within the folder: a mounted ConfigMap consists of them."""
    inside = root.resolve(strict=True)
    found: dict[str, tuple[bytes, bool]] = {}
    for path in _walk(root):
        real = path.resolve()
        if real.is_relative_to(inside) and real.is_file():
            name = path.relative_to(root).as_posix()
            wanted = _belongs(PurePosixPath(name))  # what is not placed is not read either
            found[name] = (real.read_bytes() if wanted else b"", bool(real.stat().st_mode & 0o100))
    return found


def _walk(folder: Path, depth: int = 12) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".."):  # a ConfigMap's own
            continue
        if path.is_dir() and not path.is_symlink() and depth:
            yield from _walk(path, depth - 1)
        else:
            yield path


def _from_tar(path: Path) -> dict[str, tuple[bytes, bool]]:
    found: dict[str, tuple[bytes, bool]] = {}
    with tarfile.open(path, encoding="utf-8") as tar:
        for member in tar:
            if not member.isreg():
                continue
            name = str(PurePosixPath(member.name))
            content = tar.extractfile(member) if _belongs(PurePosixPath(name)) else None
            found[name] = (content.read(LARGEST + 1) if content else b"", bool(member.mode & 0o100))
    return found


def _archive(files: Files) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (data, executable) in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o700 if executable else 0o600
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()
