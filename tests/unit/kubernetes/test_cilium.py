"""The policy for Cilium says what the NetworkPolicies of `deploy/base` say, in words that Cilium's own schema knows.

The schema is that of a pinned release, from the module cache of Go: `go mod download github.com/cilium/cilium@VERSION`.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.crds import CILIUM, Json, crd_schema, wrong

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
POLICY = DEPLOY / "components" / "cilium" / "sandboxes.yaml"
OF = "k8s:io.kubernetes.pod.namespace"


@pytest.fixture
def policy() -> Json:
    return yaml.safe_load(POLICY.read_text())


@pytest.fixture(scope="module")
def schema() -> Json:
    return crd_schema(*CILIUM)


def test_it_is_as_its_schema_says(schema: Json, policy: Json) -> None:
    assert list(wrong(schema, policy)) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("egresDeny", []),
        ("egressDeny", [{"toEntities": ["kube-api"]}]),
        ("egress", [{"toPorts": [{"ports": [{"port": 8080}]}]}]),
        ("enableDefaultDeny", {"egress": "yes"}),
    ],
)
def test_what_the_schema_does_not_know_is_found(schema: Json, policy: Json, where: str, value: Any) -> None:
    policy["spec"][where] = value
    assert list(wrong(schema, policy))


def test_it_lets_through_what_the_network_policies_let_through_and_denies_the_rest(policy: Json) -> None:
    documents: list[Json] = list(yaml.safe_load_all((DEPLOY / "base" / "sandboxes.yaml").read_text()))
    policies = {one["metadata"]["name"]: one for one in documents if one["kind"] == "NetworkPolicy"}
    (gateway,) = policies["gateway"]["spec"]["egress"]
    (to,) = gateway["to"]
    spec = policy["spec"]
    assert policy["metadata"]["namespace"] == policies["gateway"]["metadata"]["namespace"]
    assert spec["endpointSelector"] == policies["nothing"]["spec"]["podSelector"] == {}
    assert spec["enableDefaultDeny"] == {"ingress": True, "egress": True}
    assert "ingress" not in spec
    (allowed,) = spec["egress"]
    namespace = to["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    labels = {f"k8s:{name}": value for name, value in to["podSelector"]["matchLabels"].items()}
    assert allowed["toEndpoints"] == [{"matchLabels": {OF: namespace, **labels}}]
    ports = [(one["port"], one["protocol"]) for one in allowed["toPorts"][0]["ports"]]
    assert ports == [(str(one["port"]), one["protocol"]) for one in gateway["ports"]]
    denied = {entity for rule in spec["egressDeny"] for entity in rule.get("toEntities", ())}
    assert denied == {"kube-apiserver", "host", "remote-node", "world"}
