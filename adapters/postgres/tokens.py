"""Interaction tokens: whoever has one can answer in our name for 15 minutes, so none ever enters an event.

They are kept sealed, under a key derived from LOG_KEY_FILE, and forgotten when they are worth nothing any more.
"""

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from adapters.sealing import MasterKey

LIFE = 15 * 60 * 1_000_000
"""How long Discord takes a token, in µs."""

_PUT = """
insert into tokens (interaction, sealed, expires_at) values ($1, $2, $3)
on conflict (interaction) do update set sealed = excluded.sealed, expires_at = excluded.expires_at
"""
_GET = "select sealed from tokens where interaction = $1 and expires_at > $2"
_SWEEP = "delete from tokens where expires_at <= $1"


class Tokens:
    """Times are µs since the epoch; `at` is when the interaction was made. Everything raises TryAgain."""

    def __init__(self, pool: Pool, master: MasterKey) -> None:
        self._pool = pool
        self._cipher = master.cipher("tokens")

    async def put(self, interaction: str, token: str, *, at: int) -> None:
        """Keep the token of an interaction, by its id."""
        sealed = self._cipher.seal(token.encode(), interaction.encode())
        with errors.translated():
            await self._pool.execute(_PUT, interaction, sealed, at + LIFE)

    async def get(self, interaction: str, *, now: int) -> str | None:
        """The token, None when there is none that Discord would still take."""
        with errors.translated():
            sealed = await self._pool.fetchval(_GET, interaction, now)
        return None if sealed is None else self._cipher.open(sealed, interaction.encode()).decode()

    async def sweep(self, *, now: int) -> None:
        """Forget what has expired."""
        with errors.translated():
            await self._pool.execute(_SWEEP, now)
