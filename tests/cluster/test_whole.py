"""The whole bot in the cluster, installed as `deploy/README.md` says: Discord and the model are outside, all else are pods."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from adapters.local.discord.people import open_people
from adapters.local.script import LANGUAGES, Script
from adapters.local.services import Service
from tests.clusters import ROOT, Cluster, find_cluster

OUTSIDE = "10.99.0.1"
KEY = "made-up-key-of-the-model"
IMAGES = {
    "bot": ("requirements.lock", "requirements-kubernetes.lock", "requirements-build.lock"),
    "gateway": ("requirements.lock", "requirements-build.lock"),
    "postgres": ("requirements-playground.lock", "images/postgres.sh"),
}
SOURCES = ("adapters", "engine", "projections", "schema", "pyproject.toml")
NAMESPACES = ("discord-claude", "discord-claude-sandboxes")

pytestmark = [pytest.mark.cluster, pytest.mark.cli, pytest.mark.timeout(600)]


class Operator:
    """Whoever installs it: a checkout of their own, and a cluster of which they are the administrator."""

    def __init__(self, cluster: Cluster, checkout: Path) -> None:
        assert cluster.testcluster
        self._testcluster = cluster.testcluster
        self.checkout = checkout

    def on_testcluster(self, *words: str) -> str:
        done = subprocess.run(
            [str(self._testcluster), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.checkout,
            env={**os.environ, "BUILDAH_LAYERS": "true"},  # what did not change is not built again
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kubectl(self, *words: str) -> str:
        return self.on_testcluster("kubectl", *words)

    def block(self, *, under: str, number: int = 0, **environment: str) -> None:
        """Do the commands that stand under a heading of the README."""
        text = (self.checkout / "deploy" / "README.md").read_text().partition(f"\n{under}\n")[2]
        commands = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[number]
        script = 'set -eu\nkubectl() { "$TESTCLUSTER" kubectl "$@"; }\n' + commands
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.checkout,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "TESTCLUSTER": str(self._testcluster),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def set(self, file: str, **settings: str) -> None:
        """Change settings, or add them."""
        path = self.checkout / "deploy" / "overlays" / "kind" / file
        lines = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in settings]
        path.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in settings.items()), ""]))

    def load_images(self) -> None:
        """Each under the name that the overlay has for it; built when the node has none of this very source."""
        there = self.on_testcluster("inside", "ctr", "images", "ls", "-q")
        for name, files in IMAGES.items():
            dockerfile = f"deploy/images/{name}.Dockerfile"
            sources = [ROOT / dockerfile, *(ROOT / "deploy" / one for one in files)]
            sources += [] if name == "postgres" else _program()
            digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]
            if f"/discord-claude-{name}:test-{digest}" not in there:
                for old in re.findall(rf"localhost/(discord-claude-{name}:test-\w+)", there):
                    self.on_testcluster("image", old, "--forget")
                self.on_testcluster(
                    "image", f"discord-claude-{name}:test-{digest}", str(ROOT), "--file", str(ROOT / dockerfile)
                )
            overlay = self.checkout / "deploy" / "overlays" / "kind" / "kustomization.yaml"
            images = "" if "\nimages:" in overlay.read_text() else "images:\n"
            with overlay.open("a") as file:
                file.write(f"{images}  - name: discord-claude-{name}\n    newTag: test-{digest}\n")


def _program() -> list[Path]:
    files = [one for source in SOURCES for one in [ROOT / source, *(ROOT / source).rglob("*")]]
    return sorted(one for one in files if one.is_file() and "__pycache__" not in one.parts)


class Outside(NamedTuple):
    """What is beyond the cluster."""

    discord: dict[str, Any]
    model: dict[str, Any]


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncGenerator[Outside]:
    key = tmp_path / "model.key"
    key.write_text(KEY)
    services = {
        name: Service(name, tmp_path / name, ["-m", f"adapters.local.{name}", *words, f"--state={tmp_path / name}"], {})
        for name, words in {
            "discord": [f"--host={OUTSIDE}"],
            "model": [f"--host={OUTSIDE}", f"--key-file={key}"],
        }.items()
    }
    try:
        yield Outside(*[await service.start() for service in services.values()])
    finally:
        for service in services.values():
            await service.end()


@pytest.fixture
def operator(tmp_path: Path) -> Generator[Operator]:
    cluster = find_cluster()
    if cluster.testcluster is None:
        pytest.skip("this test changes what the whole cluster has: it is for the test cluster beside the checkout")
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "deploy", checkout / "deploy", ignore=shutil.ignore_patterns("secrets"))
    operator = Operator(cluster, checkout)
    operator.set("bot.env", SANDBOX_IMAGE=cluster.image)
    operator.load_images()
    operator.kubectl("delete", "namespace", "--ignore-not-found", *NAMESPACES)
    yield operator
    operator.kubectl("delete", "namespace", "--ignore-not-found", *NAMESPACES)  # what holds the volumes
    _release_volumes(operator)


def _release_volumes(operator: Operator) -> None:
    """What a provisioner does when a claim is gone, which the test cluster has none of: its volumes can be used again."""
    mine = (
        "{range .items[?(@.spec.claimRef.namespace=='discord-claude')]}{.metadata.name} {.spec.local.path}{'\\n'}{end}"
    )
    for line in operator.kubectl("get", "pv", "-o", f"jsonpath={mine}").splitlines():
        name, path = line.split()
        operator.on_testcluster("inside", "find", path, "-mindepth", "1", "-delete")
        operator.kubectl("patch", "pv", name, "--type=json", '-p=[{"op": "remove", "path": "/spec/claimRef"}]')


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: outside
  labels:
    app.kubernetes.io/part-of: discord-claude
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
    - to: [{ipBlock: {cidr: 10.99.0.1/32}}]
"""


async def test_a_conversation_with_the_bot_of_the_readme(operator: Operator, outside: Outside) -> None:
    before = _ours(operator)  # of a playground, say: somebody else's to take away
    operator.block(under="### 3. Secrets", DISCORD_TOKEN=outside.discord["token"], CLAUDE_API_KEY=KEY)
    owners = ",".join(outside.discord["people"].values())
    operator.set(
        "bot.env",
        DISCORD_GUILD_ID=outside.discord["guild_id"],
        DISCORD_API_URL=outside.discord["rest_url"],
        OWNER_IDS=owners,
    )
    operator.set("gateway.env", GATEWAY_UPSTREAM=f"http://outside.test:{outside.model['port']}")
    # Discord and the model are at port 443 elsewhere
    overlay = operator.checkout / "deploy" / "overlays" / "kind"
    (overlay / "outside.yaml").write_text(POLICY)
    kustomization = overlay / "kustomization.yaml"
    kustomization.write_text(
        kustomization.read_text().replace("  - postgres.yaml\n", "  - postgres.yaml\n  - outside.yaml\n")
    )
    try:
        operator.block(under="### 5. Two commands")
        transcript: list[str] = []
        async with open_people(outside.discord) as people:
            lines = LANGUAGES["en"]
            await Script(people[lines.person], outside.discord["channel_id"], lines, transcript.append).run()
        happened = [line.partition("✓ ")[2].partition(" — ")[0] for line in transcript if "✓ " in line]
        assert list(dict.fromkeys(happened)) == list(lines.steps.values())
        sandboxes = ("-n", "discord-claude-sandboxes")
        if going := operator.kubectl("get", "pods", *sandboxes, "-o", "name").split():
            operator.kubectl("wait", *sandboxes, "--for=delete", "--timeout=60s", *going)
        operator.block(
            under="### 5. Two commands", number=1
        )  # discord-claude check: it fails where it finds something wrong
    except BaseException:
        print(_state(operator))
        raise
    operator.block(under="### Uninstall")
    assert _ours(operator) <= before


KINDS = (
    "namespaces,pods,deployments,statefulsets,jobs,services,configmaps,secrets,serviceaccounts,roles,rolebindings,"
    "networkpolicies,persistentvolumeclaims,priorityclasses,validatingadmissionpolicies,validatingadmissionpolicybindings"
)


def _state(operator: Operator) -> str:
    """What an operator would look at."""
    said = [operator.kubectl("get", "pods,jobs,pvc", "-A", "-o", "wide")]
    for name in ("bot", "gateway", "migrate", "db"):
        selector = f"app.kubernetes.io/name=discord-claude-{name}"
        said.append(operator.kubectl("logs", "-n", "discord-claude", "-l", selector, "--tail=30", "--prefix"))
    said.append(operator.kubectl("get", "events", "-A", "--field-selector", "type=Warning"))
    return "\n".join(said)


def _ours(operator: Operator) -> set[str]:
    """Every object with the product's label in the cluster: namespace, kind and name."""
    shown = "{range .items[*]}{.metadata.namespace} {.kind} {.metadata.name}{'\\n'}{end}"
    label = "app.kubernetes.io/part-of=discord-claude"
    return set(operator.kubectl("get", KINDS, "-A", "-l", label, "-o", f"jsonpath={shown}").splitlines())
