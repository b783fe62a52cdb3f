"""Three roles: one owns the tables and migrates, the bot's and the gateway's do their work with what they are given and no more."""

from collections.abc import AsyncGenerator
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from adapters.postgres.connect import connect
from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import open_keyring
from adapters.postgres.migrate import migrate
from adapters.sealing import MasterKey
from engine.ports import Duplicate, TryAgain
from schema.envelope import Append, Draft, Write
from schema.events import UsageCounted
from tests.databases import Databases
from tests.drafts import append, write


class Roles(NamedTuple):
    """The DSN of one database, as each of them."""

    owner: str
    bot: str
    gateway: str


def as_role(dsn: str, role: str) -> str:
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}@{host}").geturl()


@pytest.fixture
async def roles(pg_server: Databases) -> AsyncGenerator[Roles]:
    dsn = await pg_server.empty()
    name, tag = urlsplit(dsn).path[1:], uuid4().hex[:8]
    names = [f"{one}-{tag}" for one in ("owner", "bot", "gateway")]
    admin = await connect(dsn)
    for one in names:
        await admin.execute(f'create role "{one}" login')
    await admin.execute(f'alter database {name} owner to "{names[0]}"')
    yield Roles(*(as_role(dsn, one) for one in names))
    await admin.close()
    await pg_server.drop(dsn)


async def bring(roles: Roles) -> None:
    connection = await connect(roles.owner)
    bot, gateway = (str(urlsplit(one).username) for one in (roles.bot, roles.gateway))
    await migrate(connection, bot=bot, gateway=gateway)
    await connection.close()


async def test_until_the_tables_are_of_this_release_the_others_are_told_what_to_do(roles: Roles) -> None:
    for dsn in (roles.bot, roles.gateway):
        with pytest.raises(TryAgain, match="run `discord-claude migrate` as the role that owns them"):
            async with open_log(dsn):
                raise AssertionError
    await bring(roles)
    await bring(roles)
    async with open_log(roles.bot) as log:
        assert await log.head() == 0


async def test_the_bot_appends_leases_and_keeps_keys(roles: Roles) -> None:
    await bring(roles)
    async with open_log(roles.bot) as log:
        [recorded] = await log.append(append(write("session:1")))
        assert await log.lease("session:1") == 1
        keyring = await open_keyring(log.pool, MasterKey(bytes(32)))
        assert keyring
    assert recorded.position == 1


async def test_the_gateway_reads_reservations_and_counts_usage(roles: Roles) -> None:
    await bring(roles)
    used = UsageCounted(reservation="1-2", model="m", input=1, output=1)
    usage = Draft(event=used, at=1, actor="gateway", key="u:1")
    async with open_log(roles.bot) as log:
        await log.append(append(write("slots")))
    async with open_log(roles.gateway, replica=False) as log:
        counted = Append(writes=(Write(stream="usage:1", expected=None, drafts=(usage,)),))
        [recorded] = await log.append(counted)
        assert recorded.position == 2
        with pytest.raises(Duplicate):  # found the slow way
            await log.append(counted)
        assert [one.position for one in await log.read_stream("slots")] == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "update events set actor = 'me'",
        "delete from events",
        "truncate events",
        "alter table events disable trigger events_stay",
        "drop table events",
        "create table mine (id integer)",
        "delete from streams",
        "insert into migrations (number, name, checksum) values (99, 'x', '')",
    ],
)
async def test_neither_changes_what_is_recorded_or_where(roles: Roles, statement: str) -> None:
    await bring(roles)
    for dsn in (roles.bot, roles.gateway):
        await refused(dsn, statement)


@pytest.mark.parametrize("table", ["keys", "tokens", "kept_files", "seals", "installation"])
async def test_the_gateway_reads_nothing_personal(roles: Roles, table: str) -> None:
    await bring(roles)
    await refused(roles.gateway, f"select * from {table}")


async def refused(dsn: str, statement: str) -> None:
    connection = await connect(dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
