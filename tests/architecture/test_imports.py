"""`make lint` runs the contracts of pyproject.toml; this says that they are there, and catches what they cannot."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

# tools that change what a module means without an import
EFFECTS = {"open", "print", "input", "eval", "exec", "__import__", "breakpoint"}


def test_the_contracts_are_there(root: Path) -> None:
    linter = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert {contract["id"] for contract in linter["contracts"]} >= {"layers", "pure", "sync", "adapters"}
    assert set(linter["root_packages"]) == {"adapters", "engine", "projections", "schema"}


@pytest.mark.parametrize("package", ["engine", "projections", "schema"])
def test_the_core_calls_no_built_in_that_does_io(package: str, root: Path) -> None:
    calls = [
        f"{path.relative_to(root)}:{node.lineno} {node.func.id}"
        for path in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EFFECTS
    ]
    assert not calls


def test_the_supervisor_needs_nothing_but_the_standard_library(root: Path) -> None:
    tree = ast.parse((root / "adapters" / "claude" / "supervisor.py").read_text())
    imported = {name for node in ast.walk(tree) for name in imports(node)}
    assert imported
    assert imported <= sys.stdlib_module_names


def imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").split(".")[0]]
    return []
