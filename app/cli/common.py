"""What commands share: the application and its database, typed values, output."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table

from app.errors import NotFound
from app.rules.lifecycle import Verdict
from app.schemas import Out
from app.services import validation
from app.services.bookings.transitions import MoveResult
from app.store.db import database

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

SHOWN_CHARACTERS = 60
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
# Names of the arguments that say which row a command is about.
_ARGUMENTS = ("reference", "slug", "email", "number")
_WHY_NOT = {
    Verdict.OVERTAKEN: "it is {status}",
    Verdict.TOO_LATE: "it is {status} and it is too late for that",
    Verdict.TOO_EARLY: "it is {status} and it is too early for that",
    Verdict.FORBIDDEN: "it is {status} and only others may do that",
}

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON with stable fields instead of a table."
)


class Mistake(click.ClickException):
    """A mistake of the person who typed the command; the message is printed as it is."""


class Checked(click.ParamType):  # type: ignore[type-arg] # its values are of any type
    """A value that `parse` reads; `should_be` replaces the message of its ValueError."""

    def __init__(
        self, name: str, parse: Callable[[str], Any], should_be: Callable[[], str] | None = None
    ) -> None:
        self.name = name
        self._parse = parse
        self._should_be = should_be

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # A default is parsed already.
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            typed = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
            right = f"should be {self._should_be()}" if self._should_be else str(error).rstrip(".")
            self.fail(f"{right}, not {typed!r}", param, ctx)


REFERENCE = Checked("REF", validation.reference, lambda: "a reference such as MB-7K3QXD")
INSTANT = Checked("INSTANT", validation.instant, lambda: "an instant such as 2026-11-03T10:00:00Z")
reference_argument = click.argument("reference", metavar="REF", type=REFERENCE)


def one_of(values: Iterable[str]) -> Checked:
    words = tuple(values)

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError
        return value

    return Checked("|".join(words), parse, lambda: f"{', '.join(words[:-1])} or {words[-1]}")


def digits(value: str, least: int, most: int) -> int:
    # Not `int` alone, which takes 1_000 and the digits of other scripts.
    if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
        raise ValueError
    return int(value)


def whole_number(least: int, most: int) -> Checked:
    should_be = f"a whole number from {least} to {most}"
    return Checked("N", lambda value: digits(value, least, most), lambda: should_be)


def seconds(most: int) -> Checked:

    def parse(value: str) -> float:
        if not _SECONDS.fullmatch(value) or float(value) > most:
            raise ValueError
        return float(value)

    return Checked("SECONDS", parse, lambda: f"a number of seconds from 0 to {most}")


def choice_option(name: str, values: Iterable[str], what: str) -> Callable[[F], F]:
    """An option with a help text, whose value is one of `values`."""
    return click.option(name, type=one_of(values), metavar=name[2:].upper(), help=what)


limit_option = click.option(
    "--limit", type=whole_number(1, 1000), default=50, show_default=True,
    help="The most to print, newest first.",
)  # fmt: skip


def with_app(command: Callable[P, R]) -> Callable[P, R]:
    # `run` put the function that creates it into click's context.

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with click.get_current_context().obj().app_context():
            return command(*args, **kwargs)

    return wrapped


def with_database(command: Callable[P, R]) -> Callable[P, R]:
    """Run a command with one connection to a database whose schema is current."""

    @with_app
    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with database.connection():
            if fault := database.schema_fault():
                raise Mistake(f"the database's schema {fault}")
            try:
                return command(*args, **kwargs)
            except NotFound as error:
                given = (kwargs.get(name) for name in _ARGUMENTS)
                typed = next((each for each in given if each is not None), None)
                raise Mistake(f"there is no {error.what} {typed!r}") from None

    return wrapped


def require_done(result: MoveResult, participle: str) -> None:
    """Raise a mistake that names the booking's state, unless the move was made now or before."""
    if not result.is_done:
        booking = result.booking
        why_not = _WHY_NOT[result.verdict].format(status=booking.status)
        raise Mistake(f"{booking.reference} cannot be {participle}: {why_not}")


def utc(at: datetime | None) -> str | None:
    """RFC 3339 in UTC to the second, such as 2026-11-03T10:00:00Z."""
    return validation.instant_text(at) if at else None


def print_json(data: object) -> None:
    """Print JSON on one line; models as the API sends them."""
    click.echo(json.dumps(data, default=_to_json))


def _to_json(value: object) -> object:
    if isinstance(value, Out):
        return value.plain()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if not table.row_count:
        click.echo(empty)
        return
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        # A file or a pipe has no width, so nothing should be wrapped.
        console.width = 400
    console.print(table)


def print_details(pairs: Iterable[tuple[str, object]]) -> None:
    """Print one labelled value a line, without those that are absent."""
    shown = [(label, str(value)) for label, value in pairs if value not in (None, "")]
    width = max((len(label) for label, _ in shown), default=0)
    for label, value in shown:
        click.echo(f"{label:<{width}}  {value}")
