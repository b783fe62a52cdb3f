"""Discord's refusals, as values to raise: HTTP status, Discord's code, the text people know it by."""

from adapters.local.discord.store import Json


class DiscordError(Exception):
    """Raised when Discord would refuse. `errors`: the tree that names the wrong field."""

    def __init__(
        self, status: int, code: int, message: str, errors: Json | None = None, *, more: Json | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"message": message, "code": code, **({"errors": errors} if errors else {}), **(more or {})}


def unauthorized() -> DiscordError:
    """The bot's token is not ours."""
    return DiscordError(401, 0, "401: Unauthorized")


def unknown_channel() -> DiscordError:
    """No such channel or thread."""
    return DiscordError(404, 10003, "Unknown Channel")


def unknown_message() -> DiscordError:
    """No such message, in this channel."""
    return DiscordError(404, 10008, "Unknown Message")


def unknown_user() -> DiscordError:
    """Nobody has this id."""
    return DiscordError(404, 10013, "Unknown User")


def unknown_interaction() -> DiscordError:
    """No such interaction, or its three seconds are over."""
    return DiscordError(404, 10062, "Unknown interaction")


def already_acknowledged() -> DiscordError:
    """An interaction is answered once."""
    return DiscordError(400, 40060, "Interaction has already been acknowledged.")


def invalid_webhook_token() -> DiscordError:
    """The interaction's fifteen minutes are over, or it never was."""
    return DiscordError(401, 50027, "Invalid Webhook Token")


def too_fast(body: Json) -> DiscordError:
    """One of the limits that no header tells; `body` says for how long."""
    return DiscordError(429, int(body.get("code", 0)), str(body["message"]), more=body)


def lacking(what: str) -> DiscordError:
    """Discord has it, this one does not: said loudly, because anything else would be guessed."""
    return DiscordError(501, 0, f"501: the local Discord lacks {what}")


def invalid_json() -> DiscordError:
    """Not JSON, or JSON with half of a surrogate pair."""
    return DiscordError(400, 50109, "The request body contains invalid JSON.")


def unknown_command() -> DiscordError:
    """Nobody registered it."""
    return DiscordError(404, 10063, "Unknown application command")


def empty_message() -> DiscordError:
    """Nothing to show."""
    return DiscordError(400, 50006, "Cannot send an empty message")


def not_yours() -> DiscordError:
    """Only the author edits."""
    return DiscordError(403, 50005, "Cannot edit a message authored by another user")


def missing_access() -> DiscordError:
    """Not to be seen by who asks."""
    return DiscordError(403, 50001, "Missing Access")


def missing_permissions() -> DiscordError:
    """Seen, but not to be done by who asks."""
    return DiscordError(403, 50013, "Missing Permissions")


def archived() -> DiscordError:
    """A thread must be un-archived first."""
    return DiscordError(400, 50083, "Thread is archived")


def has_thread() -> DiscordError:
    """A message has one thread."""
    return DiscordError(400, 160004, "A thread has already been created for this message")


def locked() -> DiscordError:
    """Only who may manage threads writes in a locked one."""
    return DiscordError(400, 160005, "This thread is locked")


def too_large() -> DiscordError:
    """A file over the limit."""
    return DiscordError(413, 40005, "Request entity too large")


def invalid(field: str, code: str, message: str) -> DiscordError:
    """A wrong field of the body; `field` is its path, like `components.0.label`."""
    errors: Json = {"_errors": [{"code": code, "message": message}]}
    for name in reversed(field.split(".")):
        errors = {name: errors}
    return DiscordError(400, 50035, "Invalid Form Body", errors)
