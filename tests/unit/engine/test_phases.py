from pathlib import Path

from engine import phases
from engine.session import Phase


def test_the_readme_shows_the_table() -> None:
    readme = Path(phases.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{phases.diagram()}\n```" in readme


def test_every_phase_is_on_a_way_from_new_to_closed() -> None:
    reached = {Phase.NEW}
    while more := {end for begin, end in phases.WAYS if begin in reached} - reached:
        reached |= more
    assert reached == set(Phase)


def test_closed_is_the_end() -> None:
    assert not [way for way in phases.WAYS if way[0] is Phase.CLOSED]
