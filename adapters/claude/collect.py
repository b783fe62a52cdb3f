"""What a session hands over: a patch of its workspace, its transcript, and the files that no patch can hold.

A workspace begins empty, so the patch is all of its text files as new ones: `git apply` makes them again anywhere. One that
begins with a repository has its patch made by git, where it is. What a sandbox sends is hostile input: sizes are bounded, names
are checked, nothing is unpacked to disk.
"""

import difflib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from adapters.claude.channel import SupervisorChannel
from engine.ports import File, TryAgain

TRANSCRIPT = "transcript.jsonl"
PATCH = "changes.patch"
LEFT_OUT = "left-out.txt"


async def collect(channel: SupervisorChannel) -> Sequence[File]:
    """The files to hand over; empty when nothing was made and nothing said. Raises as the channel does."""
    workspace, others = read_archive(await channel.collect())
    return hand_over(workspace, others)


def read_archive(archive: bytes) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The workspace's files by name, and what came beside them. Raises TryAgain when the archive is torn."""
    workspace, others = dict[str, bytes](), dict[str, bytes]()
    try:
        # no compression and no sparse files: either makes of a few bytes more than there is memory
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", encoding="utf-8") as tar:
            for member in tar:
                area, name = _place(member)
                if not name or not member.isreg() or member.issparse():
                    continue
                content = tar.extractfile(member)
                data = content.read() if content else b""
                (workspace if area == "work" else others)[name] = data
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise TryAgain(f"the sandbox's files came back torn: {error}") from None
    return workspace, others


def _place(member: tarfile.TarInfo) -> tuple[str, str]:
    """The area of a file, "" when it is beside the workspace, and its name there, "" when it is none to take."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        return "", ""
    area, parts = ("work", path.parts[1:]) if path.parts[:1] == ("work",) else ("", path.parts)
    return area, _shown("/".join(parts))


def _shown(name: str) -> str:
    """A name whose bytes are no UTF-8, with those told as numbers."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def hand_over(workspace: Mapping[str, bytes], beside: Mapping[str, bytes]) -> list[File]:
    """What people get, most useful first. Pure."""
    texts = {name: text for name, data in sorted(workspace.items()) if (text := _as_text(data)) is not None}
    others = {name: data for name, data in sorted(workspace.items()) if name not in texts}
    files: list[File] = []
    if texts:
        files.append(File(name=PATCH, data=patch(texts).encode()))
    elif beside.get(PATCH):
        files.append(File(name=PATCH, data=beside[PATCH]))
    if others:
        files.append(File(name="files.zip", data=_zip(others)))
    files += [File(name=name, data=beside[name]) for name in (LEFT_OUT, TRANSCRIPT) if beside.get(name)]
    return files


def patch(texts: Mapping[str, str]) -> str:
    """A patch that makes these files. Pure."""
    return "".join(_new_file(name, text) for name, text in texts.items())


def _new_file(name: str, text: str) -> str:
    lines = text.splitlines(keepends=True)
    body = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff([], lines, "/dev/null", _quoted(f"b/{name}"))
    )
    return f"diff --git {_quoted(f'a/{name}')} {_quoted(f'b/{name}')}\nnew file mode 100644\n{body}"


def _quoted(name: str) -> str:
    """A name as git writes it: in quotes when it would end its line, or look like something else."""
    if name.isprintable() and not set(name) & {'"', "\\"}:
        return name
    plain = {ord('"'), ord("\\")}
    escaped = (f"\\{byte:03o}" if not 32 <= byte < 127 or byte in plain else chr(byte) for byte in name.encode())
    return f'"{"".join(escaped)}"'


def _as_text(data: bytes) -> str | None:
    """The text in a file that a patch can hold, None for others (binary, other line ends, no line at all)."""
    if not data or b"\0" in data or b"\r" in data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.splitlines() == text.removesuffix("\n").split("\n") else None


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16  # without, what is unpacked cannot be read
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
