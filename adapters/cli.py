"""The command line: `run`, `gateway`, `playground`, and what asks the log (`adapters/audit`). Reads settings and arguments; does
nothing itself.

Exit codes: 0 done, or ended by SIGINT or SIGTERM; 1 failed; 2 settings or arguments are wrong; 130 a script was interrupted.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import anyio
import cyclopts
import uvloop

from adapters import settings, telemetry, wiring
from adapters.audit import commands as audit
from adapters.audit import standing, views
from adapters.audit.auditing import audit as tell_story
from adapters.audit.erasing import erase
from adapters.audit.filing import files
from adapters.audit.migrating import migrate
from adapters.audit.simulating import simulate
from adapters.audit.source import AuditError
from adapters.audit.verifying import verify
from adapters.checking import check
from adapters.parsers import Secret
from adapters.playground import ArgumentError, Options, PlaygroundError, run_playground
from engine.ports import EngineError

app = cyclopts.App(name="discord-claude", help="Claude Code from Discord: one thread, one session, one sandbox.")
_ASKING = (audit.log, audit.state, audit.why, verify, audit.export)
_VIEWS = (standing.members, standing.quota, views.sessions, views.usage, views.views, views.rebuild)
for _command in (*_ASKING, tell_story, *_VIEWS, simulate, files, erase, migrate, check):
    app.command(_command)


@app.command
def run() -> int:
    """Run the bot. Its settings are environment variables; all that are missing or wrong are named at once."""
    read = settings.load(os.environ)
    files = (read.log_key_file, read.gateway_secret_file)
    telemetry.configure(read.logging, [read.discord_token, read.database.password, *map(Secret.in_file, files)])
    return _until_told(lambda: wiring.run_bot(read))


@app.command
def gateway() -> int:
    """Run the gateway, the only process that holds CLAUDE_API_KEY."""
    read = settings.load_gateway(os.environ)
    secrets = [read.claude_api_key, read.database.password, Secret.in_file(read.secret_file)]
    telemetry.configure(read.logging, secrets)
    return _until_told(lambda: wiring.run_gateway(read))


@app.command
def playground(  # noqa: PLR0913 - one parameter an option
    play: str = "conversation",
    /,
    *,
    folder: Path = Path(".playground"),
    host: str = "127.0.0.1",
    port: int = 0,
    script: bool = False,
    lang: str = "en",
    real: bool = False,
    trust_sandbox: bool = False,
    kubernetes: bool = False,
    gateway_host: str | None = None,
) -> int:
    """Everything on this machine, at a local page; nothing to sign up for.

    Parameters
    ----------
    play
        What --script plays: conversation, or people (who may what, and the line; with one sandbox).
    folder
        Where everything is kept.
    host
        Where the page listens; anything but this machine lets others in.
    port
        Of the page; 0 is the one it had before, or any free one.
    script
        Play by itself; exit status 0 when every step happened.
    lang
        The language of --script: en or ja.
    real
        Use the real model, with the key in CLAUDE_API_KEY.
    trust_sandbox
        Allow --real without bubblewrap.
    kubernetes
        Sandboxes are pods of the cluster that KUBECONFIG names, in the namespace discord-claude-playground.
    gateway_host
        With --kubernetes: the address at which pods reach this machine, where it is not found by itself.

    """
    options = Options(
        folder=folder,
        host=host,
        port=port,
        real=real,
        trust_sandbox=trust_sandbox,
        kubernetes=kubernetes,
        gateway_host=gateway_host,
        claude=Path(os.environ["CLAUDE_BIN"]) if os.environ.get("CLAUDE_BIN") else None,
    )
    return _until_told(
        lambda: run_playground(options, lang if script else None, play), interrupted=130 if script else 0
    )


def _until_told(program: Callable[[], Awaitable[Any]], *, interrupted: int = 0) -> int:
    """Run until it is done, or until SIGINT or SIGTERM: then `interrupted` is the exit status."""
    status = interrupted

    async def main() -> None:
        nonlocal status
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_on_signal, tasks.cancel_scope)
            status = int(await program() or 0)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend_options={"loop_factory": uvloop.new_event_loop})
    return status


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            sys.stderr.write(f"ended by {number.name}\n")
            scope.cancel()
            return


def main() -> None:
    """The entry point."""
    try:
        status = app(sys.argv[1:])
    except settings.SettingsError as error:
        sys.stderr.write(f"{error}\n")
        status = 2
    except AuditError as error:
        sys.stderr.write(f"{error}\n")
        status = error.code
    except BaseExceptionGroup as group:
        status = _tell(group)
    except (PlaygroundError, EngineError) as error:
        sys.stderr.write(f"{error}\n")
        status = 1
    sys.exit(status or 0)


def _tell(group: BaseExceptionGroup[BaseException]) -> int:
    """What people can do something about is a sentence; anything else is a defect, and a traceback."""
    known, rest = group.split((PlaygroundError, EngineError))
    if rest is not None:
        raise rest
    assert known
    errors = _leaves(known)
    for error in errors:
        sys.stderr.write(f"{error}\n")
    return 2 if any(isinstance(error, ArgumentError) for error in errors) else 1


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found += _leaves(cast("BaseExceptionGroup[BaseException]", error))
        else:
            found.append(error)
    return found


if __name__ == "__main__":
    main()
