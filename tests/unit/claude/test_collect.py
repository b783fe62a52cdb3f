"""What a session hands over is what it made; and what a hostile sandbox hands over harms nobody."""

import gzip
import io
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.claude.collect import hand_over, patch, read_archive
from engine.ports import TryAgain

GIT = shutil.which("git")


def tar(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def checked(archive: bytearray) -> bytes:
    """The archive with the right checksum in its first header, whatever that says."""
    archive[148:156] = b"%06o\0 " % (sum(archive[:148]) + 8 * 32 + sum(archive[156:512]))
    return bytes(archive)


def handed(workspace: Mapping[str, bytes], **beside: bytes) -> dict[str, bytes]:
    return {
        file.name: file.data for file in hand_over(workspace, {name.replace("_", "."): beside[name] for name in beside})
    }


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {one.filename: archive.read(one) for one in archive.infolist()}


# --- what people get -------------------------------------------------------------------------------------------------


def test_texts_are_a_patch_others_are_files_and_the_transcript_comes_last() -> None:
    found = handed({"a.py": b"x = 1\n", "logo.png": b"\x89\0"}, transcript_jsonl=b"{}\n", other=b"?")
    assert list(found) == ["changes.patch", "files.zip", "transcript.jsonl"]
    assert b"+x = 1\n" in found["changes.patch"]
    assert unpacked(found["files.zip"]) == {"logo.png": b"\x89\0"}


def test_nothing_made_and_nothing_said_is_nothing() -> None:
    assert handed({}, transcript_jsonl=b"") == {}


def test_files_can_be_read_by_who_unpacks_them_and_are_compressed() -> None:
    packed = handed({"zeros": bytes(100_000)})["files.zip"]
    (entry,) = zipfile.ZipFile(io.BytesIO(packed)).infolist()
    assert entry.external_attr >> 16 == 0o644
    assert len(packed) < 1000


names = st.from_regex(r"[ a-z\n\t\"\\\x7f\u202eé日🎉.-]{1,8}", fullmatch=True).filter(
    lambda name: name.strip(". ") != ""
)
contents = st.text("ab \t+-@\\é🎉\u2028\r\n\0\x0c").map(str.encode) | st.binary(max_size=9)


@given(st.dictionaries(names, contents, max_size=4))
def test_every_file_is_handed_over_once(files: dict[str, bytes]) -> None:
    found = handed(files)
    zipped = unpacked(found["files.zip"]) if "files.zip" in found else {}
    assert found.get("changes.patch", b"").count(b"new file mode") == len(files) - len(zipped)
    assert zipped.items() <= files.items()


@pytest.mark.skipif(GIT is None, reason="there is no git here")
def test_git_makes_the_same_files_of_the_patch(tmp_path: Path) -> None:
    texts = {
        "plain.txt": "one\ntwo\n",
        "no newline at the end": "x",
        "src/日本語.md": "# 見出し\n\n🎉\n",
        'quote".txt': "--- a\n+++ b\n",
        "line\nbreak\t\\": "@@ -1 +1 @@\n\\ No newline at end of file\n",
        "blank": "\n",
        "trailing ": " \n",
        "bidi\u202e": "\n\n",
    }
    assert GIT
    subprocess.run([GIT, "apply", "-"], input=patch(texts).encode(), cwd=tmp_path, check=True, timeout=30)
    made = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert made == texts


def test_a_name_cannot_add_a_file_to_the_patch() -> None:
    lines = patch({"a\n+++ b/.ssh/authorized_keys": "x\n"}).splitlines()
    assert [line for line in lines if line.startswith("+++")] == ['+++ "b/a\\012+++ b/.ssh/authorized_keys"']


# --- what a sandbox may send -----------------------------------------------------------------------------------------


def test_the_workspace_is_told_from_what_comes_beside_it() -> None:
    archive = tar(("work/src/a", b"1"), ("transcript.jsonl", b"2"), ("work", b"no file of it"))
    assert read_archive(archive) == ({"src/a": b"1"}, {"transcript.jsonl": b"2"})


@pytest.mark.parametrize("name", ["/etc/passwd", "work/../../x", "..", ".", "work", "work/."])
def test_a_name_that_leads_elsewhere_is_left_out(name: str) -> None:
    assert read_archive(tar((name, b"x"))) == ({}, {})


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_what_is_no_file_is_left_out(kind: bytes) -> None:
    assert read_archive(tar(("work/x", b""), kind=kind)) == ({}, {})


def test_a_name_that_is_no_unicode_is_told() -> None:
    workspace, _ = read_archive(tar(("work/caf\udce9", b"\0"), ("work/\udcff.txt", b"x\n")))
    assert list(workspace) == [r"caf\xe9", r"\xff.txt"]
    assert set(handed(workspace)) == {"changes.patch", "files.zip"}


def test_what_would_grow_beyond_the_memory_is_not_taken() -> None:
    with pytest.raises(TryAgain):
        read_archive(gzip.compress(tar(("work/x", bytes(1 << 20)))))
    sparse = tar(("work/x", b""), kind=tarfile.GNUTYPE_SPARSE)
    huge = bytearray(sparse)
    huge[483:495] = b"77777777777\0"  # the size that it has once it is unpacked
    assert read_archive(checked(huge)) == ({}, {})


def test_a_torn_archive_is_asked_for_again() -> None:
    archive = tar(("work/a", b"a" * 2000))
    for length in (0, 100, 512, 1000, 2000):
        with pytest.raises(TryAgain, match="torn"):
            read_archive(archive[:length])


WHOLE = tar(("work/" + "long" * 30, b"a" * 600), ("transcript.jsonl", b"{}"), ("work/é", b"x"))


@given(st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), max_size=6))
@example([(124, 0xFF), *((at, 0xFF) for at in range(125, 136))])  # a size of -1
@example([(156, ord("x"))])
@example([(156, ord("L"))])
@example([(156, ord("S")), (482, 1)])
def test_a_header_of_any_kind_is_read_or_asked_for_again(changes: list[tuple[int, int]]) -> None:
    archive = bytearray(WHOLE)
    for at, byte in changes:
        archive[at] = byte
    takes(checked(archive))


@given(st.binary())
def test_bytes_of_any_kind_are_read_or_asked_for_again(archive: bytes) -> None:
    takes(archive)


def takes(archive: bytes) -> None:
    try:
        workspace, others = read_archive(archive)
    except TryAgain:
        return
    hand_over(workspace, others)
