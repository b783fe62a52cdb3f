"""The host's side of the supervisor's protocol, over `Sandbox.exec`: the same for every kind of sandbox.

It promises that a command either did what it says or raises, that a line is yielded whole or as too long, and that no
output of a sandbox, however hostile, takes more memory than the limits here. It never retries: that is the actor's business.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, NoReturn

import anyio
import msgspec

from adapters.claude import supervisor
from engine.ports import Fenced, GiveUp, Process, Sandbox, TryAgain, Usage

_COMMAND_SECONDS = 30
_ANSWER_LIMIT = 64 << 10
_HEADER_LIMIT = 200


class JournalLine(msgspec.Struct, frozen=True):
    """A line of the journal without its newline; None when it was longer than `supervisor.MAX_LINE`.

    `epoch` is the number of the journal; `end` the offset just behind the line: where to follow from, once it is folded.
    """

    epoch: int
    end: int
    line: bytes | None


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a CLI ended: exit code or signal, neither when it never started; `why` we ended it, or could not start it."""

    code: int | None = None
    signal: int | None = None
    why: str = ""
    stderr: str = ""


Natural = Annotated[int, msgspec.Meta(ge=0, lt=1 << 60)]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """As in `engine.ports.Usage`."""

    cpu: Natural | None = None
    cpu_limit: Natural | None = None
    memory: Natural | None = None
    memory_limit: Natural | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `status` tells.

    `state` of the CLI: held, running, stopping, exited; `cli` counts CLIs of this journal, from 1; `queue` counts lines that the
    CLI has not read yet; `pid` (the CLI's) and `supervisor` (its own) are pids as seen inside.
    """

    alive: bool
    claimed: int
    journal: int
    journal_bytes: int
    state: str
    cli: int
    queue: int
    disk_percent: Natural
    supervisor: int
    pid: int | None = None
    exit: Exit | None = None
    usage: Reading = Reading()


class Cloned(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a clone: the commit and what there is that Claude Code would run, as `RepoCloned` has them; or why not, and
    what was said of it, as in `RepoFailed`.
    """

    commit: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{0,64}$")] = ""
    code: Annotated[tuple[Literal["settings", "mcp", "prompts"], ...], msgspec.Meta(max_length=3)] = ()
    failed: Literal["", "not_found", "auth", "host", "moved", "size", "time", "broken"] = ""
    said: str = ""


class SupervisorChannel:
    """Speaks to the supervisor of one sandbox, as the owner of one fencing epoch.

    Every method raises TryAgain, GiveUp (SandboxGone when there is no sandbox), and those of an owner raise Fenced when a
    newer epoch has claimed the sandbox.
    """

    def __init__(self, sandbox: Sandbox, reservation: str, epoch: int) -> None:
        self._sandbox = sandbox
        self._reservation = reservation
        self._epoch = str(epoch)

    async def claim(self) -> None:
        """Become the owner: older epochs are refused from now on, and their followers end. Idempotent."""
        await self._word("ok", "", "claim", self._epoch)

    async def send(self, item: str, line: bytes) -> bool:
        """Give the CLI that runs one line (a JSON object); False when it was given one of this id before.

        A line that was taken is lost with its CLI: the journal's next `start` mark makes every unanswered line due again.
        Raises TryAgain when no CLI runs.
        """
        payload = line.rstrip(b"\n") + b"\n"
        return await self._word("ok", "dup", "send", self._epoch, stdin=_with_header(payload, item))

    async def put(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Write a file, whole or not at all. `path` is `home/…` or `work/…`, without symbolic links."""
        await self._word("ok", "", "put", self._epoch, path, "--mode", f"{mode:o}", stdin=_with_header(data))

    async def clone(self, request: bytes, seconds: float) -> Cloned:
        """Clone what `request` (`supervisor.CloneRequest`) names into the workspace, once; `seconds` is what it may take.

        Raises TryAgain when it may work another time.
        """
        stdin, within = _with_header(request), seconds + _COMMAND_SECONDS
        answer = await self._command("clone", self._epoch, stdin=stdin, within=within)
        try:
            return msgspec.json.decode(answer, type=Cloned)
        except msgspec.MsgspecError:
            raise TryAgain("the sandbox did not say what became of the clone") from None

    async def unpack(self, path: str, archive: bytes) -> None:
        """Write the files of a tar below a directory, named as for `put`; each whole or not at all."""
        await self._word("ok", "", "unpack", self._epoch, path, stdin=_with_header(archive))

    async def get(self, path: str) -> bytes | None:
        """The content of a file as `put` names it; None when there is none."""
        try:
            answer = await self._command("get", path, limit=supervisor.MAX_FILE + _HEADER_LIMIT)
        except _NotFound:
            return None
        head, newline, data = answer.partition(b"\n")
        try:
            header = supervisor.parse_header(head + newline, supervisor.MAX_FILE)
        except supervisor.Refused:
            raise TryAgain(f"{path} came back torn") from None
        if len(data) != header.size or hashlib.sha256(data).hexdigest() != header.digest:
            raise TryAgain(f"{path} came back torn")
        return data

    async def collect(self) -> bytes:
        """A tar of what the session made: `work/…`, `transcript.jsonl`, `left-out.txt`."""
        return await self._command("collect", limit=2 * supervisor.MAX_COLLECTED)

    async def restart(self) -> bool:
        """Start the CLI again, going on with its conversation, or the first one if it is held; False when one runs."""
        return await self._word("ok", "running", "restart", self._epoch)

    async def stop(self) -> bool:
        """Ask the CLI to end; the journal tells when it has. False when none runs."""
        return await self._word("ok", "exited", "stop", self._epoch)

    async def status(self) -> Status:
        try:
            return msgspec.json.decode(await self._command("status"), type=Status)
        except msgspec.DecodeError as error:
            raise TryAgain(f"the status of the sandbox is unreadable: {error}") from None

    async def usage(self) -> Usage:
        """What the sandbox used a moment ago, as it says itself."""
        status = await self.status()
        return Usage(disk=status.disk_percent, **msgspec.structs.asdict(status.usage))

    async def follow(self, epoch: int, offset: int) -> AsyncGenerator[JournalLine, None]:
        """Whole lines of journal `epoch` from `offset` on, then of the journals after it, for ever. Epoch 0 is the first.

        Raises TryAgain when the link broke: follow again from the last line's `epoch` and `end`. Raises GiveUp when the
        journal is not what it was.
        """
        while True:
            splitter = LineSplitter(max(epoch, 1), offset)
            async for chunk in self._follow_one(max(epoch, 1), offset):
                for line in splitter.feed(chunk):
                    yield line
            epoch, offset = max(epoch, 1) + 1, 0

    async def _follow_one(self, epoch: int, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes of one journal, until it is complete."""
        argv = [*self._sandbox.supervisor, "follow", self._epoch, str(epoch), str(offset)]
        async with self._sandbox.exec(self._reservation, argv) as process:
            chunks = aiter(process)
            head = await self._head(chunks)
            if head:
                announced, newline, rest = head.partition(b"\n")
                if announced != b"journal %d %d" % (epoch, offset) or not newline:
                    raise TryAgain("the sandbox does not answer as a supervisor does")
                yield rest
                async for chunk in chunks:
                    yield chunk
            status, stderr = await self._exit_status(process)
        if status == supervisor.OK:
            raise TryAgain("the link to the sandbox broke")
        if status != supervisor.NEXT_JOURNAL:
            _raise(status, stderr)

    async def _head(self, chunks: AsyncIterator[bytes]) -> bytes:
        """What comes first: the announcement, at least. Empty when nothing comes."""
        head = b""
        with _deadline():
            async for chunk in chunks:
                head += chunk
                if b"\n" in head or len(head) > _HEADER_LIMIT:
                    break
        return head

    async def _word(self, done: str, known: str, name: str, *arguments: str, stdin: bytes = b"") -> bool:
        """Run a command that answers with one word: True for `done`, False for `known`.

        Raises TryAgain for anything else: a node whose runtime dies tells of a success that was none, without an answer.
        """
        answer = (await self._command(name, *arguments, stdin=stdin)).removesuffix(b"\n").decode(errors="replace")
        if answer not in (done, known or done):
            raise TryAgain(f"the sandbox did not say what became of {name}")
        return answer == done

    async def _command(
        self,
        name: str,
        *arguments: str,
        stdin: bytes = b"",
        limit: int = _ANSWER_LIMIT,
        within: float = _COMMAND_SECONDS,
    ) -> bytes:
        """Run one command to its end; its stdout. Raises what its status means."""
        argv = [*self._sandbox.supervisor, name, *arguments]
        with _deadline(within):
            async with self._sandbox.exec(self._reservation, argv) as process:
                broken = None
                try:
                    if stdin:
                        await process.write(stdin)
                except TryAgain as error:  # it may have refused before it read everything: its status tells
                    broken = error
                answer = bytearray()
                async for chunk in process:
                    answer += chunk
                    if len(answer) > limit:
                        raise GiveUp(f"the sandbox answers {name} with more than {limit} bytes")
                status, stderr = await process.exit_status()
        if status != supervisor.OK:
            _raise(status, stderr)
        if broken:
            raise broken
        return bytes(answer)

    async def _exit_status(self, process: Process) -> tuple[int, bytes]:
        with _deadline():
            return await process.exit_status()


class LineSplitter:
    """Cuts the bytes of one journal into lines, keeping at most `limit` bytes of an unfinished one."""

    def __init__(self, epoch: int, offset: int, limit: int = supervisor.MAX_LINE) -> None:
        self._epoch = epoch
        self._end = offset
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[JournalLine]:
        """The lines that `chunk` completes."""
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            self._add(part)
            self._end += self._size + 1
            line = b"".join(self._parts) if self._size <= self._limit else None
            self._parts, self._size = [], 0
            yield JournalLine(self._epoch, self._end, line)
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self._parts.clear()


class _NotFound(GiveUp):
    """Raised for a file that is not there."""


_ERRORS: dict[int, type[Exception]] = {
    supervisor.FENCED: Fenced,
    supervisor.USAGE: GiveUp,
    supervisor.BAD_INPUT: GiveUp,
    supervisor.BAD_POSITION: GiveUp,
    supervisor.NOT_FOUND: _NotFound,
}


def _raise(status: int, stderr: bytes) -> NoReturn:
    """Any other status is one that can pass: no supervisor, no CLI, a full disk, a torn upload, a killed command."""
    lines = stderr.decode("utf-8", "replace").splitlines() or [f"the command ended with status {status}"]
    said = "".join(letter for letter in lines[-1][:200] if letter.isprintable())
    raise _ERRORS.get(status, TryAgain)(said)


def _with_header(payload: bytes, item: str = "") -> bytes:
    identity = f"{item} " if item else ""
    return f"{identity}{len(payload)} {hashlib.sha256(payload).hexdigest()}\n".encode() + payload


@contextmanager
def _deadline(seconds: float = _COMMAND_SECONDS) -> Generator[None]:
    """Limits what happens within to so many seconds; raises TryAgain beyond."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise TryAgain(f"the sandbox did not answer within {seconds:.0f} s") from None
