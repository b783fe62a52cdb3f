"""What one stream asks of another: events of ours that must have an outcome elsewhere, as commands. Pure.

Who appends such an event names its target (`recipient`), and recording it opens work there; the actor of that target reads the
event as the command that it is (`command`). So nothing between two streams is lost or done twice, whoever dies in between.
"""

from engine.commands import AskAccess, Command, Context, Dismiss, Grant, GuildCommand, Move
from schema import events as e
from schema.envelope import Recorded


def recipient(event: e.Event) -> str | None:
    """The target that must give `event` an outcome; None for events that concern nobody else."""
    match event:
        case e.AccessAsked():
            return f"guild:{event.guild}"
        case e.AccessDecided(choice="approved"):
            return f"session:{event.request}"
        case e.Granted() | e.Moved() | e.Dismissed():
            return f"session:{event.session}"
        case _:
            return None


def command(recorded: Recorded) -> tuple[Command | GuildCommand, Context] | None:
    """What the event asks of its recipient; None for what a person sent. See `original` for commands that run again."""
    context = Context(at=recorded.at, cause=recorded.position)
    match recorded.event:
        case e.AccessAsked() as event:
            request = recorded.stream.removeprefix("session:")
            asked = AskAccess(request=request, channel=event.channel, received=recorded.cause)
            return asked, Context(at=recorded.at, by=event.by, locale=event.locale, cause=recorded.position)
        case e.Granted() as event:
            return Grant(reservation=event.reservation), context
        case e.Moved() as event:
            return Move(place=event.place), context
        case e.Dismissed() as event:
            return Dismiss(person=event.person, by=event.by), context
        case _:
            return None


def original(event: e.Event) -> int:
    """The position of what a person sent and is to be done now; 0 for any other event."""
    return event.received if isinstance(event, e.AccessDecided) else 0
