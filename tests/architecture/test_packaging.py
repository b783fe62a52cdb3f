"""The import names are generic words, and packages of the same names exist in the index: ours must be the ones imported."""

import importlib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PACKAGES = ["adapters", "engine", "projections", "schema"]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_has_our_names(package: str) -> None:
    assert set(packages_distributions().get(package, ())) <= {"discord-claude"}


@pytest.mark.parametrize("package", PACKAGES)
def test_our_own_packages_are_imported(package: str, root: Path) -> None:
    assert importlib.import_module(package).__file__ == str(root / package / "__init__.py")
    assert (root / package / "py.typed").is_file()
