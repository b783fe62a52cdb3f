"""The main job, the whole way, with pods: the command of the README."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.kubernetes.api import connect
from adapters.kubernetes.playground import NAMESPACE
from adapters.local.script import LANGUAGES
from tests.clusters import find_cluster

SECONDS = 110


@pytest.mark.cluster
@pytest.mark.cli
async def test_the_script_plays_a_whole_conversation_in_a_pod_and_leaves_none(tmp_path: Path) -> None:
    cluster = find_cluster()
    played = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        [
            sys.executable,
            "-m",
            "adapters.cli",
            "playground",
            "--kubernetes",
            "--script",
            "--folder",
            str(tmp_path / "p"),
        ],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "SANDBOX_IMAGE": cluster.image},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    happened = [line.partition("✓ ")[2].partition(" — ")[0] for line in played.stdout.splitlines() if "✓ " in line]
    assert list(dict.fromkeys(happened)) == list(LANGUAGES["en"].steps.values())
    async with connect(cluster.kubeconfig) as api:
        pods = await api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", "look")
    assert pods["items"] == []
