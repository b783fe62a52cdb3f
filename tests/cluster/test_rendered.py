"""The overlays as kustomize renders them: Kubernetes takes every object, strictly, and what objects name of each other is there."""

import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import kubernetes_validate  # type: ignore[import-untyped]  # it has no stubs
import pytest
import yaml

from tests.clusters import ROOT, find_cluster
from tests.crds import CILIUM, CLOUDNATIVE_PG, Json, crd_schema, wrong

pytestmark = pytest.mark.cluster

VERSIONS = ("1.30", "1.37")
CUSTOM = {"cilium.io/v2": CILIUM, "postgresql.cnpg.io/v1": CLOUDNATIVE_PG}
NAMES = {"configMap": "ConfigMap", "configMapRef": "ConfigMap", "secret": "Secret", "secretKeyRef": "Secret"}


class Checkout:
    """A copy of `deploy/`, with secrets made up."""

    def __init__(self, folder: Path) -> None:
        testcluster = find_cluster().testcluster
        self._kubectl = [str(testcluster), "kubectl"] if testcluster else ["kubectl"]
        self._deploy = folder / "deploy"
        shutil.copytree(ROOT / "deploy", self._deploy, ignore=shutil.ignore_patterns("secrets"))

    def render(self, name: str) -> list[Json]:
        """What `kubectl apply -k` sends, by the kubectl of the cluster. Of a component: what it adds to the base."""
        folder = self._deploy / name
        text = (folder / "kustomization.yaml").read_text()
        for secret in set(re.findall(r"secrets/[\w.-]+", text)):
            (folder / secret).parent.mkdir(exist_ok=True)
            (folder / secret).write_text("made up")
        if "kind: Component" in text:
            folder = self._deploy / "changed"
            folder.mkdir()
            lines = {"resources": ["../base"], "components": [f"../{name}"]}
            (folder / "kustomization.yaml").write_text(yaml.safe_dump(lines))
        done = subprocess.run([*self._kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def base(checkout: Checkout) -> list[Json]:
    return checkout.render("base")


@pytest.fixture(scope="module", params=["overlays/kind", "overlays/production", "base", "components/cilium"])
def rendered(request: pytest.FixtureRequest, checkout: Checkout) -> list[Json]:
    return checkout.render(request.param)


def test_kubernetes_takes_every_object(rendered: list[Json]) -> None:
    assert rendered
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in rendered:
            if custom := CUSTOM.get(one["apiVersion"]):
                assert list(wrong(crd_schema(*custom), one)) == []
            else:
                for version in VERSIONS:
                    kubernetes_validate.validate(one, version, strict=True)


def test_what_is_named_is_there(rendered: list[Json], base: list[Json]) -> None:
    """In it or in the base, which is applied before. Generated names end with a hash, which kustomize must have put everywhere."""
    there = {(one["kind"], one["metadata"]["name"]) for one in [*rendered, *base]}
    named = {pair for one in rendered for pair in _named(one)}
    assert named <= there
    accounts = {one["spec"]["template"]["spec"]["serviceAccountName"] for one in rendered if _has_pods(one)}
    assert {("ServiceAccount", name) for name in accounts} <= there


def test_every_object_is_found_by_the_one_label(rendered: list[Json]) -> None:
    """By which it is uninstalled."""
    assert [
        one["metadata"] for one in rendered if one["metadata"].get("labels", {}).get(LABEL) != "discord-claude"
    ] == []


LABEL = "app.kubernetes.io/part-of"


def _has_pods(one: Json) -> bool:
    return "serviceAccountName" in one.get("spec", {}).get("template", {}).get("spec", {})


def _named(part: Any) -> Iterator[tuple[str, str]]:
    """The ConfigMaps and Secrets that a pod of this object cannot do without."""
    if isinstance(part, list):
        for one in cast("list[Any]", part):
            yield from _named(one)
    elif isinstance(part, dict):
        for key, value in cast("Json", part).items():
            if key in NAMES and isinstance(value, dict):
                found = cast("Json", value)
                if not found.get("optional"):
                    yield NAMES[key], str(found.get("name") or found["secretName"])
            yield from _named(value)
