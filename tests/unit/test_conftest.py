"""What the tests themselves rest on."""

import subprocess
import sys
from pathlib import Path

CONFTEST = """
from tests import conftest
from tests.conftest import anyio_backend, pytest_pyfunc_call

conftest._OF_ITS_TIME = 0.05  # then it is ended soon, and long before pytest-timeout would, however busy the machine is
"""
TESTS = """
import anyio
import pytest

@pytest.mark.timeout(40)
async def test_hangs():
    await anyio.sleep_forever()

async def test_is_fine():
    await anyio.lowlevel.checkpoint()
"""


def test_a_test_that_hangs_fails_alone(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(root / "pyproject.toml"), "--rootdir", str(tmp_path)]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert "1 failed, 1 passed" in ended.stdout, ended.stdout
    assert "TimeoutError" in ended.stdout
