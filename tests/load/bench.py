"""`make bench [ONLY=name]`: one JSON line per figure; see figures.py for what they mean, and for how to add one."""

import argparse
import sys
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from adapters import telemetry
from adapters.settings import Logging
from tests.databases import databases
from tests.load import actors, discord, figures, live, log, page, pods, views

MODULES = (log, views, actors, discord, live, page, pods)
"""Each registers its figures."""


async def run(bench: figures.Bench, names: list[str]) -> list[str]:
    """Measure these; returns those that cannot be measured here, and why."""
    missing: list[str] = []
    for name in names:
        try:
            await figures.FIGURES[name](bench)
        except figures.NotHere as error:
            missing.append(f"{name}: {error}")
    return missing


def main() -> None:
    parser = argparse.ArgumentParser(description="Our figures, as ratios to the same work done by hand.")
    parser.add_argument("--only", default="", help="figures whose name begins like this")
    parser.add_argument("--rounds", type=int, default=5, help="at least 5 for figures to quote")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1 only shows that everything runs")
    options = parser.parse_args()
    names = [name for name in figures.FIGURES if name.startswith(options.only)]
    if not names:
        parser.error(f"no figure begins with {options.only!r}: there are {', '.join(figures.FIGURES)}")
    telemetry.configure(Logging(format="console", level="error"))
    with databases(durable=True) as server:
        missing = uvloop.run(run(figures.Bench(server, options.rounds, options.seconds, options.scale), names))
    for one in missing:
        print(f"not measured: {one}", file=sys.stderr)
    if len(missing) == len(names):
        sys.exit(1)


if __name__ == "__main__":
    main()
