"""Tables for people: as wide as the terminal; as wide as they want to be in a pipe."""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.audit.show import visible

_WIDE = 200  # columns, where there is no terminal


def console() -> Console:
    """Standard output. No text of ours is read as markup."""
    return Console(
        markup=False, highlight=False, emoji=False, soft_wrap=False, width=None if sys.stdout.isatty() else _WIDE
    )


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, total: Sequence[str] | None = None, title: str = ""
) -> None:
    """Print rows under columns; a column whose name begins with `>` is of numbers. `total`: a last row."""
    shown = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", show_footer=total is not None)
    for index, name in enumerate(columns):
        shown.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            footer=total[index] if total else "",
            footer_style="bold",
            header_style="cyan",
        )
    for row in rows:
        shown.add_row(*(Text(visible(cell)) for cell in row))
    console().print(shown)
