"""What the roles of the bot and of the gateway may do in a database whose tables belong to a third one.

It promises that neither changes tables or what is recorded, and that the gateway cannot read keys, tokens or kept files.
"""

from collections.abc import Mapping, Sequence

from adapters.postgres.connect import Connection

_TABLES = "select tablename from pg_tables where schemaname = current_schema()"
_SCHEMA = "select quote_ident(current_schema())"
_QUOTED = "select quote_ident($1)"
_FIXED = {"migrations": "", "events": "insert", "streams": "insert"}
_GATEWAY: Mapping[str, str] = {
    "events": "select, insert",
    "streams": "select, insert",
    "log_head": "select, update",
    "migrations": "select",
    "leases": "select, update (owner)",  # an append locks the row it is guarded by, which needs a right to some column
    "work": "select, insert",  # what a thread must be told
    "view_rows": "select",
}


async def grant(connection: Connection, *, bot: str | None = None, gateway: str | None = None) -> None:
    """Give these roles exactly what they need, in the caller's transaction; None: leave it as it is."""
    tables = sorted(row["tablename"] for row in await connection.fetch(_TABLES))
    if bot is not None:
        await _grant(connection, bot, tables, {table: _of_the_bot(table) for table in tables})
    if gateway is not None:
        await _grant(connection, gateway, tables, _GATEWAY)


def _of_the_bot(table: str) -> str:
    return ", ".join(filter(None, ("select", _FIXED.get(table, "insert, update, delete"))))


async def _grant(connection: Connection, role: str, tables: Sequence[str], wanted: Mapping[str, str]) -> None:
    schema, name = await connection.fetchval(_SCHEMA), await connection.fetchval(_QUOTED, role)
    statements = [f"grant usage on schema {schema} to {name}"]
    for table in tables:
        statements.append(f"revoke all on {schema}.{table} from {name}")
        if table in wanted:
            statements.append(f"grant {wanted[table]} on {schema}.{table} to {name}")
    await connection.execute("; ".join(statements))
