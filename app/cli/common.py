"""What every command shares: an open database, typed values, output for people and machines."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from flask.cli import with_appcontext
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from app.errors import NotFound
from app.store.db import database

P = ParamSpec("P")
R = TypeVar("R")

LONGEST_SHOWN = 60
"""Characters of a bad value that an error message repeats."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON with stable fields instead of a table."
)


class Mistake(click.ClickException):
    """Something that was asked for cannot be; its words are told as they are."""


class Checked(click.ParamType):  # type: ignore[type-arg] # its values are of any type
    """A value that `parse` reads; what it refuses with ValueError is told as a mistake.

    `should_be` says what a right one is; without it, the ValueError's own words are used.
    """

    def __init__(
        self, name: str, parse: Callable[[str], Any], should_be: Callable[[], str] | None = None
    ) -> None:
        self.name = name
        self._parse = parse
        self._should_be = should_be

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parsed value."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            shown = repr(value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…")
            words = f"should be {self._should_be()}" if self._should_be else str(error).rstrip(".")
            self.fail(f"{words}, not {shown}", param, ctx)


def one_of(values: Iterable[str]) -> Checked:
    """One of a few words."""
    words = tuple(values)

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError
        return value

    return Checked("|".join(words), parse, lambda: f"{', '.join(words[:-1])} or {words[-1]}")


def whole_number(least: int, most: int) -> Checked:
    """A whole number in [least, most]."""

    def parse(value: str) -> int:
        if not least <= int(value) <= most:
            raise ValueError
        return int(value)

    return Checked("N", parse, lambda: f"a whole number from {least} to {most}")


def with_database(command: Callable[P, R]) -> Callable[..., R]:
    """Give a command the application and one connection to a database whose schema is current."""

    @with_appcontext
    @wraps(command)
    def connected(*args: P.args, **kwargs: P.kwargs) -> R:
        with database.connection():
            pending = database.pending_upgrades()
            if pending:
                what = f"the database is not up to date (missing: {', '.join(pending)})"
                raise Mistake(f"{what}: run mindsum db upgrade")
            try:
                return command(*args, **kwargs)
            except NotFound as error:
                asked = next(
                    (
                        kwargs[name]
                        for name in ("reference", "slug", "email", "number")
                        if name in kwargs
                    ),
                    None,
                )
                raise Mistake(f"there is no {error.what} {asked!r}") from None

    return connected


def machine(data: object) -> None:
    """Print JSON on one line; models as the API gives them."""
    click.echo(json.dumps(data, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """Print a table, or `none` where it has no rows."""
    built = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        built.add_row(*("" if cell is None else str(cell) for cell in row))
    if not built.row_count:
        click.echo(none)
        return
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        # A file or a pipe has no width: nothing is wrapped there.
        console.width = 400
    console.print(built)


def details(pairs: Iterable[tuple[str, object]]) -> None:
    """Print one labelled value a line."""
    shown = [(label, str(value)) for label, value in pairs if value not in (None, "")]
    width = max((len(label) for label, _ in shown), default=0)
    for label, value in shown:
        click.echo(f"{label:<{width}}  {value}")
