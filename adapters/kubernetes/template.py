"""The pod of a sandbox: a file that people review and patch, with a few fields filled in.

It promises that nothing of a pod comes from anywhere else: what is not a field here stands in the file, by default
`deploy/base/sandbox-pod.yaml`.
No secret is among the fields: who may see pods sees all of it.
"""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml

from engine.ports import GiveUp

CONTAINER = "sandbox"
INSTALLATION = "discord-claude/installation"
SESSION = "discord-claude/session"
"""Labels: whose a pod is. `kubectl get pods -l discord-claude/session=ID`."""

_VOLUME = "sandbox"
_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What is filled in for every sandbox of an installation; None leaves what the template says.

    `hosts`: addresses of names that a sandbox must know, for it has no DNS.
    """

    installation: str
    namespace: str
    image: str | None = None
    cpu: str | None = None
    cpu_request: str | None = None
    memory: str | None = None
    memory_request: str | None = None
    runtime_class: str | None = None
    hosts: Mapping[str, str] = {}


class Template:
    """A pod's file, read and checked. Raises GiveUp: what is wrong with it."""

    def __init__(self, path: Path, fields: Fields) -> None:
        try:
            pod: Any = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise GiveUp(f"SANDBOX_POD_FILE {path} cannot be read: {error}") from None
        try:
            self._pod = _filled(cast("dict[str, Any]", pod), fields)
            self.disk_bytes = _disk_bytes(self._pod)
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            wrong = f"SANDBOX_POD_FILE {path} is not the pod of a sandbox ({type(error).__name__}: {error})"
            raise GiveUp(
                f"{wrong}: it needs a container and an emptyDir with a sizeLimit, both named sandbox"
            ) from None

    def pod(self, name: str, session: str) -> dict[str, Any]:
        """The pod of one sandbox, as the API server takes it."""
        pod = copy.deepcopy(self._pod)
        pod["metadata"]["name"] = name
        pod["metadata"]["labels"][SESSION] = session
        return pod


def _filled(template: dict[str, Any], fields: Fields) -> dict[str, Any]:
    pod = copy.deepcopy(template)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["namespace"] = fields.namespace
    metadata.setdefault("labels", {})[INSTALLATION] = fields.installation
    container = next(one for one in spec["containers"] if one["name"] == CONTAINER)
    if fields.image is not None:
        container["image"] = fields.image
    resources = container.setdefault("resources", {})
    for kind, name, value in (
        ("limits", "cpu", fields.cpu),
        ("requests", "cpu", fields.cpu_request),
        ("limits", "memory", fields.memory),
        ("requests", "memory", fields.memory_request),
    ):
        if value is not None:
            resources.setdefault(kind, {})[name] = value
    if fields.runtime_class is not None:
        spec["runtimeClassName"] = fields.runtime_class
    if fields.hosts:
        spec["hostAliases"] = [{"ip": ip, "hostnames": [name]} for name, ip in sorted(fields.hosts.items())]
    return pod


def _disk_bytes(pod: Mapping[str, Any]) -> int:
    volume = next(one for one in pod["spec"]["volumes"] if one["name"] == _VOLUME)
    return quantity(str(volume["emptyDir"]["sizeLimit"]))


def quantity(text: str) -> int:
    """Whole bytes of a quantity as Kubernetes writes them. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,12})([A-Za-z]{0,2})", text)
    if not match or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no size such as 10Gi")
    return int(match[1]) * _UNITS[match[2]]
