import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files(root: Path) -> list[Path]:
    """Every file of the project: what git tracks or would track; without git, all that .gitignore's names do not hide."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True, timeout=60).stdout.split(
            "\0"
        )
        found = [root / name for name in names if name]
    except (OSError, subprocess.SubprocessError):
        hidden = {".git", *(line.strip().strip("/") for line in (root / ".gitignore").read_text().splitlines())}
        found = [path for path in root.rglob("*") if not hidden.intersection(path.relative_to(root).parts)]
    return [path for path in found if path.is_file()]
