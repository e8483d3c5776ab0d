"""How the CLI speaks: data on standard output, talk on standard error, and no meaning in colour."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watcher.inert import inert
from watcher.units import brief


def emit(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(text: str) -> None:
    """A sentence on standard output: the answer to what was asked."""
    click.echo(inert(text))


def talk(text: str) -> None:
    """A sentence on standard error: about the work, not its result."""
    click.echo(inert(text), err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Aligned columns on standard output; a pipe gets the same text, never cut to a width."""
    terminal = sys.stdout.isatty()
    out = Console(markup=False, highlight=False, emoji=False, width=None if terminal else 10_000)
    made = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=not terminal, overflow="fold")
    for row in rows:
        made.add_row(*(Text(inert(str("" if cell is None else cell))) for cell in row))
    with out.capture() as captured:
        out.print(made)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Says what is being waited for: a live line on a terminal, and one line per change anywhere else."""
    console = Console(stderr=True, markup=False, highlight=False)
    if console.is_terminal:
        with console.status(Text("starting")) as live:
            yield lambda text: live.update(Text(inert(text.replace("\n", " "), 200)))
        return
    last = ""

    def line(text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            talk(text)

    yield line


def when(iso: str | None) -> str:
    """A time for people: UTC, to the second."""
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if iso else ""


def short(digest: str | None) -> str:
    """Twelve digits of a digest or a commit."""
    return (digest or "").removeprefix("sha256:")[:12]


def chosen(row: Mapping[str, Any], *keys: str) -> list[Any]:
    """Some values of a row, in this order, for a table: with digests as short as people read them."""
    values = (row.get(key) for key in keys)
    return [brief(value) if isinstance(value, str) else value for value in values]
