"""Schemas of custom resources, from the module cache of Go: pinned releases, so that they say the same everywhere."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

Json = dict[str, Any]

CILIUM = "github.com/cilium/cilium@v1.18.2", "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml", "v2"
CLOUDNATIVE_PG = (
    "github.com/cloudnative-pg/cloudnative-pg@v1.28.0",
    "config/crd/bases/postgresql.cnpg.io_clusters.yaml",
    "v1",
)
"""What `crd_schema` takes for the custom resources that we have."""


def crd_schema(module: str, file: str, version: str) -> Json:
    """`version` of the resource that `file` of the Go module (`path@version`) defines, with nothing allowed that it does not
    name. Skips the test where the module is not.
    """
    cache = Path(os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod")
    path = cache / module / file
    if not path.is_file():
        pytest.skip(f"the schema is not here: go mod download {module}")
    versions = yaml.safe_load(path.read_text())["spec"]["versions"]
    (whole,) = [one["schema"]["openAPIV3Schema"] for one in versions if one["name"] == version]
    whole["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return _strict(whole)


def wrong(schema: Json, resource: Json) -> Iterator[str]:
    """What the schema has against it."""
    validator: Any = jsonschema.Draft7Validator(schema)
    for error in validator.iter_errors(resource):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(one) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    found: Json = {str(name): _strict(value) for name, value in cast("Json", schema).items()}
    if isinstance(found.get("properties"), dict) and "type" in found:
        found.setdefault("additionalProperties", False)
    return found
