"""Builds the wheel with the locked tools (no download) and looks at it: the four packages, all their assets, nothing else;
and it must be importable, and find its assets, from any folder.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("adapters", "engine", "projections", "schema")
# what the code reads at run time, beside its modules
ASSETS = {".css", ".ftl", ".html", ".js", ".json", ".md", ".sql", ".svg", ".typed"}
LEFT_OUT = {"README.md"}

SMOKE = """
import importlib, pkgutil, sys
for package in sys.argv[2:]:
    root = importlib.import_module(package)
    assert root.__file__.startswith(sys.argv[1]), f"{package} is {root.__file__}, not the wheel's"
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        importlib.import_module(module.name)
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*build, "--wheel-dir", folder, str(ROOT)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        problems = list(contents(wheel))
        if not problems:
            unpacked = Path(folder, "unpacked")
            zipfile.ZipFile(wheel).extractall(unpacked)
            smoke = [sys.executable, "-P", "-c", SMOKE, str(unpacked), *PACKAGES]
            if subprocess.run(smoke, check=False, cwd=folder, env={"PYTHONPATH": str(unpacked)}).returncode:
                problems.append("it cannot be imported, see above")
        print("\n".join(f"{wheel.name}: {problem}" for problem in problems) or f"{wheel.name}: as it should be")
        return bool(problems)


def contents(wheel: Path) -> list[str]:
    """What is wrong with the list of its files."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name not in LEFT_OUT
    }
    strange = {name for name in inside if Path(name).suffix not in {".py", *ASSETS}}
    return [
        *(f"{name} is missing" for name in sorted(wanted - inside)),
        *(f"{name} does not belong in it" for name in sorted(strange | (inside - wanted))),
    ]


if __name__ == "__main__":
    sys.exit(main())
