"""What a supervisor knows of its CPU, memory and disk, from the files of both versions of cgroups, and when it says so."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude.supervisor import Alarm, Meter, Reading

VERSION_2 = {
    "cpu.stat": "usage_usec 2000000\nuser_usec 1500000\nsystem_usec 500000\n",
    "cpu.max": "150000 100000\n",
    "memory.current": "700000000\n",
    "memory.max": "2147483648\n",
    "memory.stat": "anon 100\ninactive_file 100000000\nactive_file 5\n",
}
VERSION_1 = {
    "cpuacct/cpuacct.usage": "2000000000\n",
    "cpu/cpu.cfs_quota_us": "150000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.usage_in_bytes": "700000000\n",
    "memory/memory.limit_in_bytes": "2147483648\n",
    "memory/memory.stat": "inactive_file 7\ntotal_inactive_file 100000000\n",
}
VERSIONS = pytest.mark.parametrize("files", [VERSION_2, VERSION_1], ids=["version 2", "version 1"])


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@VERSIONS
def test_a_cgroup_is_read(files: dict[str, str], tmp_path: Path) -> None:
    meter = Meter(write(tmp_path, files))
    first = Reading(cpu=None, cpu_limit=1500, memory=600_000_000, memory_limit=2 << 30)
    assert meter.read(10.0) == first
    write(
        tmp_path,
        {"cpu.stat": "usage_usec 3000000\n"} if files is VERSION_2 else {"cpuacct/cpuacct.usage": "3000000000"},
    )
    assert meter.read(12.0) == first._replace(cpu=500)


@pytest.mark.parametrize(
    "files",
    [
        VERSION_2 | {"cpu.max": "max 100000\n", "memory.max": "max\n"},
        VERSION_1 | {"cpu/cpu.cfs_quota_us": "-1\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"},
    ],
)
def test_no_limit_is_none(files: dict[str, str], tmp_path: Path) -> None:
    found = Meter(write(tmp_path, files)).read(1.0)
    assert (found.cpu_limit, found.memory_limit) == (None, None)
    assert found.memory == 600_000_000


@VERSIONS
@given(broken=st.binary(max_size=40), which=st.integers(0, 5))
def test_what_is_not_there_or_not_readable_is_not_known(
    files: dict[str, str], broken: bytes, which: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write(tmp_path_factory.mktemp("cgroup"), files)
    (folder / [*files][which % len(files)]).write_bytes(broken)
    meter = Meter(folder)
    for now in (1.0, 2.0):
        assert all(value is None or value >= 0 for value in meter.read(now))
    assert Meter(folder / "nothing").read(1.0) == Reading()


def test_without_a_cgroup_of_its_own_only_its_processes_are_counted() -> None:
    meter = Meter.here()
    first = meter.read(1.0)
    assert first.memory
    assert first == Reading(memory=first.memory)
    second = meter.read(2.0).cpu
    assert second is not None
    assert second < 100_000


@given(percents=st.lists(st.integers(0, 100)))
def test_an_alarm_goes_off_once_a_crossing(percents: list[int]) -> None:
    alarm, said = Alarm(80, 90), list[tuple[int, int]]()
    for index, percent in enumerate(percents):
        level = alarm.due(percent)
        if level:
            assert percent >= level
            alarm.said = level
            said.append((index, level))
        assert alarm.due(percent) == 0
    for (before, level), (index, again) in itertools.pairwise(said):
        assert again > level or min(percents[before:index]) < level - 10


def test_an_alarm_that_could_not_be_said_is_still_due() -> None:
    alarm = Alarm(90)
    assert [alarm.due(percent) for percent in (50, 90, 95)] == [0, 90, 90]


def test_hovering_around_a_level_is_said_once_and_a_new_rise_again() -> None:
    alarm, said = Alarm(90), list[int]()
    for percent in (89, 91, 89, 91, 85, 95, 40, 91):
        if level := alarm.due(percent):
            alarm.said = level
            said.append(percent)
    assert said == [91, 91]
