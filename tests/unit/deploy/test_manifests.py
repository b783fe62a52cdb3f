"""Every manifest of `deploy/` is one that Kubernetes takes, strictly: no field that it does not know, no warning."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no stubs
import pytest
import yaml

from tests.crds import CLOUDNATIVE_PG, Json, crd_schema, wrong

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
LATEST = "1.37"
CUSTOM = {"cilium.io/v2", "postgresql.cnpg.io/v1"}


def documents() -> Iterator[tuple[str, Json]]:
    for file in sorted(DEPLOY.rglob("*.yaml")):
        for one in yaml.safe_load_all(file.read_text()):
            if one["apiVersion"].partition("/")[0] != "kustomize.config.k8s.io":
                yield f"{file.relative_to(DEPLOY)}: {one['kind']} {one['metadata']['name']}", one


ALL = list(documents())
OURS = [pytest.param(one, id=name) for name, one in ALL if one["apiVersion"] not in CUSTOM]


@pytest.mark.parametrize("version", ["1.30", LATEST])
@pytest.mark.parametrize("document", OURS)
def test_kubernetes_takes_it(document: Json, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kubernetes_validate.validate(document, version, strict=True)


def test_what_kubernetes_does_not_know_is_found() -> None:
    deployment = _one("Deployment", "discord-claude-bot")
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, LATEST, strict=True)


def test_the_database_is_as_cloudnative_pg_knows_it() -> None:
    schema = crd_schema(*CLOUDNATIVE_PG)
    database = _one("Cluster", "discord-claude-db")
    assert list(wrong(schema, database)) == []
    database["spec"]["instance"] = 3
    assert list(wrong(schema, database))


@pytest.mark.parametrize("pod", [pytest.param(one, id=name) for name, one in ALL if "template" in one.get("spec", {})])
def test_every_pod_is_walled_in_itself(pod: Json) -> None:
    """As Pod Security `restricted` has it, and more: nothing written but where it says, resources limited."""
    spec = pod["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["priorityClassName"] == "discord-claude"
    assert not spec["enableServiceLinks"]
    assert spec["automountServiceAccountToken"] == (pod["metadata"]["name"] == "discord-claude-bot")
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


@pytest.mark.parametrize("namespace", ["base/sandboxes.yaml", "program/network.yaml"])
def test_each_namespace_denies_what_is_not_allowed(namespace: str) -> None:
    found = [one["spec"] for name, one in ALL if name.startswith(namespace) and one["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in found


def test_no_node_is_emptied_of_a_sandbox_by_the_autoscaler() -> None:
    annotations = _one("Pod", "sandbox")["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_only_the_gateway_is_given_the_key_of_the_model() -> None:
    holders = [name for name, one in ALL if "claude-api-key" in str(one)]
    assert holders == ["program/gateway.yaml: Deployment discord-claude-gateway"]


def test_the_settings_of_both_overlays_are_the_same_but_for_the_image() -> None:
    overlays = DEPLOY / "overlays"
    for name in ("bot.env", "gateway.env"):
        kind, production = (_settings(overlays / one / name) for one in ("kind", "production"))
        assert {**kind, "SANDBOX_IMAGE": ""} == {**production, "SANDBOX_IMAGE": ""}
    quota = _one("ResourceQuota", "sandboxes")["spec"]["hard"]["pods"]
    assert quota == _settings(overlays / "kind" / "bot.env")["MAX_SANDBOXES"]


def _settings(file: Path) -> dict[str, str]:
    lines = [line.partition("=") for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in lines}


def _one(kind: str, name: str) -> Any:
    (found,) = [one for one in map(_copy, ALL) if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def _copy(named: tuple[str, Json]) -> Json:
    return yaml.safe_load(yaml.safe_dump(named[1]))
