"""What can be counted and measured, in one place. `deploy/README.md` says what each is for.

Labels come from our own code only: never a person, a thread or a text, so that no metric grows with its users or tells of them.
Sandboxes are told apart by the name that their pods have, too, for as long as they live: never more than `MAX_SANDBOXES`.
It must not be used by the core: events and error reports are counted from outside.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from engine.ports import Usage
from schema import events as e
from schema.envelope import Recorded

_UNITS = {"cpu": 0.001, "cpu_limit": 0.001, "disk": 0.01}
"""From those of `Usage` to those of Prometheus."""

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.events = self._counter("events", "Events this process recorded", "kind")
        self.turns = self._counter("turns", "Turns that are over", "outcome")
        self.refusals = self._counter("refusals", "Commands that were refused", "reason")
        self.failures = self._counter("failures", "Effects that failed", "what", "then")
        self.append_seconds = Histogram(
            "discord_claude_append_seconds", "From append to durable", buckets=_FAST, registry=self.registry
        )
        self.slots = self._gauge("slots", "Sandboxes: held, the limit, and sessions in the line", "state")
        self.leaks = self._counter("leaks", "Sandboxes without a reservation that were removed")
        self.missing = self._gauge("sandboxes_missing", "Reservations without a sandbox when last compared")
        self._usage = {
            "cpu": self._gauge("sandbox_cpu_cores", "What a sandbox uses of its CPU, in cores", "sandbox"),
            "cpu_limit": self._gauge("sandbox_cpu_limit_cores", "How much of it a sandbox may use", "sandbox"),
            "memory": self._gauge("sandbox_memory_bytes", "Memory that a sandbox uses", "sandbox"),
            "memory_limit": self._gauge("sandbox_memory_limit_bytes", "Memory that a sandbox may use", "sandbox"),
            "disk": self._gauge("sandbox_disk_ratio", "How full the disk of a sandbox is, 0 to 1", "sandbox"),
        }
        self.actors = self._gauge("actors", "Sessions this process has in memory")
        self.discord_up = self._gauge("discord_up", "Whether the gateway of Discord is connected")
        self.discord_seconds = self._gauge("discord_heartbeat_seconds", "Round trip of Discord's last heartbeat")
        self.view_events = self._gauge("view_lag_events", "Events that a view has not taken in yet", "view")
        self.view_seconds = self._gauge("view_lag_seconds", "How long the first of them has waited for it", "view")

    def _counter(self, name: str, tells: str, *labels: str) -> Counter:
        return Counter(f"discord_claude_{name}", tells, labels, registry=self.registry)

    def _gauge(self, name: str, tells: str, *labels: str) -> Gauge:
        return Gauge(f"discord_claude_{name}", tells, labels, registry=self.registry)

    def used(self, usages: Mapping[str, Usage]) -> None:
        """What each sandbox uses now. One that is not there (any more) is not told of; nor is what it does not say."""
        for name, gauge in self._usage.items():
            gauge.clear()
            for sandbox, usage in usages.items():
                value = getattr(usage, name)
                if value is not None:
                    gauge.labels(sandbox).set(value * _UNITS.get(name, 1.0))

    def recorded(self, recorded: Recorded) -> None:
        """Count an event of our own."""
        event = recorded.event
        self.events.labels(type(event).__struct_config__.tag).inc()
        match event:
            case e.TurnEnded():
                self.turns.labels(event.outcome).inc()
            case e.TurnCut():
                self.turns.labels("cut").inc()
            case e.Refused():
                self.refusals.labels(event.reason).inc()
            case _:
                pass

    def failed(self, what: str, *, again: bool) -> None:
        """Count an error that is no part of the protocol. Only the kind of effect is kept, without its ids."""
        self.failures.labels(what.partition(":")[0], "again" if again else "given up").inc()
