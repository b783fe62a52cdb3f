"""What was ever written can be read, and this release writes it the same way. See samples.py for how to add a kind."""

import json
from pathlib import Path

import pytest

from tests.golden import samples

FILES = sorted([*(samples.FOLDER / "events").glob("*.json"), *(samples.FOLDER / "facts").glob("*.json")])


def test_every_kind_has_its_file() -> None:
    missing = [path.name for path in samples.kinds() if not path.exists()]
    assert not missing, "run .venv/bin/python tests/golden/samples.py, and commit what it writes"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_stored_payload_is_read_as_it_always_was(path: Path) -> None:
    for sample in json.loads(path.read_text()):
        assert samples.fields(samples.read(path, sample["payload"])) == sample["fields"]


@pytest.mark.parametrize("path", samples.kinds(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_written_now_is_what_was_always_written(path: Path) -> None:
    full, bare, *_older = json.loads(path.read_text())
    struct = samples.kinds()[path]
    assert full["payload"] == samples.stored(samples.sample(struct, full=True))
    assert bare["payload"] == samples.stored(samples.sample(struct, full=False))
