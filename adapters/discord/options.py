"""What the Discord side must be told."""

from collections.abc import Callable

import msgspec

from adapters.parsers import Secret


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`guilds`: the allow-list of servers. `owners`: whom the settings name; empty: each server's owner is asked.

    `owner_channels`: where owners are asked about newcomers, each for the server it is in. `incarnation`: names this process's
    inbox, never used again. `now`: µs. `api_url`: a Discord that is not Discord's own.
    """

    token: Secret
    guilds: frozenset[str]
    incarnation: str
    now: Callable[[], int]
    owners: tuple[str, ...] = ()
    owner_channels: tuple[str, ...] = ()
    api_url: str | None = None
