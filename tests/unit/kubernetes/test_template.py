"""The template of a pod, and what is filled in."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.kubernetes.template import Fields, Template, quantity
from engine.ports import GiveUp

BASE = Path(__file__).resolve().parents[3] / "deploy" / "base" / "sandbox-pod.yaml"
FIELDS = Fields(installation="i", namespace="n")


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_what_no_setting_names_is_as_the_template_says() -> None:
    template: Any = yaml.safe_load(BASE.read_text())
    pod = Template(BASE, FIELDS).pod("1-2", "1")
    assert pod["spec"] == template["spec"]
    assert pod["metadata"]["name"] == "1-2"
    assert pod["metadata"]["namespace"] == "n"
    assert pod["metadata"]["labels"] == template["metadata"]["labels"] | {
        "discord-claude/installation": "i",
        "discord-claude/session": "1",
    }


def test_settings_are_filled_in() -> None:
    fields = Fields(
        installation="i",
        namespace="n",
        image="registry.example/sandbox@sha256:0",
        cpu="2",
        cpu_request="50m",
        memory="3Gi",
        memory_request="1Gi",
        runtime_class="gvisor",
        hosts={"gateway": "10.0.0.1"},
    )
    spec = Template(BASE, fields).pod("1-2", "1")["spec"]
    [container] = spec["containers"]
    assert container["image"] == "registry.example/sandbox@sha256:0"
    assert (container["resources"]["limits"]["cpu"], container["resources"]["requests"]["cpu"]) == ("2", "50m")
    assert (container["resources"]["limits"]["memory"], container["resources"]["requests"]["memory"]) == ("3Gi", "1Gi")
    assert spec["runtimeClassName"] == "gvisor"
    assert spec["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["gateway"]}]


def test_pods_share_nothing() -> None:
    template = Template(BASE, FIELDS)
    template.pod("1-2", "1")["spec"]["containers"].clear()
    assert template.pod("1-3", "1")["spec"]["containers"]


def test_the_size_of_the_disk_is_the_volumes() -> None:
    assert Template(BASE, FIELDS).disk_bytes == 10 << 30


@pytest.mark.parametrize(("text", "size"), [("10Gi", 10 << 30), ("500M", 500_000_000), ("7", 7)])
def test_sizes(text: str, size: int) -> None:
    assert quantity(text) == size


@pytest.mark.parametrize("text", ["", "-1", "10GB", "1.5Gi", "Gi"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        quantity(text)


@pytest.mark.parametrize(
    "text",
    ["", "just words", "[1]", "metadata: {}\nspec: {containers: []}", "a: [", "metadata: {}\nspec: {containers: 7}"],
)
def test_what_is_no_pod_of_a_sandbox_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(GiveUp, match="SANDBOX_POD_FILE"):
        Template(written(tmp_path / "pod.yaml", text), FIELDS)


def test_a_pod_whose_disk_has_no_limit_is_refused(tmp_path: Path) -> None:
    unlimited = BASE.read_text().replace("sizeLimit: 10Gi", "medium: Memory")
    with pytest.raises(GiveUp, match="sizeLimit"):
        Template(written(tmp_path / "pod.yaml", unlimited), FIELDS)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match="cannot be read"):
        Template(tmp_path / "none.yaml", FIELDS)
