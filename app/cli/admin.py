"""The house itself: the demo, the schema, its health, its books."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import peewee
from flask import current_app
from flask.cli import ScriptInfo, with_appcontext
from rich.console import Console

from app import clock, config
from app.cli.common import json_option, machine, table, whole_number, with_database
from app.cli.words import instant
from app.demo import run as local_demo
from app.errors import ConfigError, StoreUnavailable
from app.services.bookings import ledger as books
from app.services.ops import backup as backups
from app.services.ops import health
from app.services.ops import replay as replaying
from app.store import queries
from app.store.db import database
from emails import formatting


@click.command()
@click.option(
    "--port", type=whole_number(1, 65535), help="The site's port; PORT, or 8000, if none."
)
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Keep everything in a folder."
)
def demo(port: int | None, data: Path | None) -> int:
    """Serve everything on this machine, with therapists to ask and a mailbox to read."""
    return local_demo.run(port or config.load().port, data)


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@json_option
@with_appcontext
def upgrade(as_json: bool) -> None:
    """Bring the schema up to date; safe to run twice, and from several places at once."""
    steps = database.upgrade()
    if as_json:
        machine({"applied": steps})
    else:
        click.echo(f"Applied: {', '.join(steps)}." if steps else "The schema is up to date.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@with_appcontext
def backup(file: Path, as_json: bool) -> None:
    """Write the SQLite database to a new file while it is in use."""
    size = backups.backup(file)
    if as_json:
        machine({"file": str(file), "bytes": size})
    else:
        click.echo(f"Wrote {file}: {size} bytes.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Even if the present database is not empty.")
@json_option
@with_appcontext
def restore(file: Path, replace: bool, as_json: bool) -> None:
    """Put a backup in place of the SQLite database; its emails wait for: outbox release."""
    put = backups.restore(file, backups.live_file(), clock.now(), replace=replace)
    if as_json:
        machine(asdict(put))
        return
    click.echo(f"Restored {put.bookings} bookings from {file}.")
    if put.set_aside:
        click.echo(f"The database that was there is kept as {put.set_aside}; delete it in the end.")
    click.echo(f"The outbox is held, and {put.emails_waiting} emails wait in it.")
    click.echo("Look at them (mindsum outbox list), leave out what had left (mindsum outbox skip),")
    click.echo("then let the others go (mindsum outbox release).")


@dataclass(frozen=True, slots=True)
class Checkup:
    """One thing that was looked at."""

    check: str
    ok: bool
    detail: str


@click.command()
@json_option
@click.pass_context
def check(context: click.Context, as_json: bool) -> int:
    """Look at settings, database, scheduler, outbox and mail server; 1 if one will not do."""
    found = list(_checkups(context.ensure_object(ScriptInfo)))
    if as_json:
        machine([asdict(each) for each in found])
    else:
        for each in found:
            click.echo(f"{each.check:<9} {'ok' if each.ok else 'FAILED':<7} {each.detail}")
    return 0 if all(each.ok for each in found) else 1


def _checkups(script: ScriptInfo) -> Iterator[Checkup]:
    try:
        app = script.load_app()
    except ConfigError as error:
        yield Checkup("settings", False, str(error))
        return
    settings = config.current()
    lack = config.missing_address(settings)
    yield Checkup("settings", lack is None, str(lack or f"for {settings.public_url}"))
    with app.app_context():
        yield from _database()
        problem = current_app.extensions["mailer"].check()
        where = f"{settings.mail_server}:{settings.mail_port} takes mail"
        yield Checkup("mail", problem is None, problem or where)


def _database() -> Iterator[Checkup]:
    """The database, then what /readyz finds in it; the database alone where that cannot be read."""
    kind = "SQLite" if database.is_sqlite() else "PostgreSQL"
    try:
        pending = database.pending_upgrades()
        with database.connection():
            found = [] if pending else health.checks(clock.now(), tries_writing=True)
    except (StoreUnavailable, peewee.DatabaseError) as error:
        yield Checkup("database", False, f"{kind} does not answer: {str(error).splitlines()[0]}")
        return
    if pending:
        lacks = f"{kind} lacks {', '.join(pending)}: mindsum db upgrade"
        yield Checkup("database", False, lacks)
        return
    for each in found:
        if each.name == "database":
            says = "can be read and written, and its schema is current" if each.is_ok else each.says
            yield Checkup(each.name, each.is_ok, f"{kind} {says}")
        # That it is current was said just now.
        elif each.name != "schema":
            yield Checkup(each.name, each.is_ok, each.says)


@click.group()
def ledger() -> None:
    """Read the books."""


@ledger.command("show")
@click.argument("reference", metavar="REF")
@json_option
@with_database
def ledger_show(reference: str, as_json: bool) -> None:
    """Print what is owed because of one booking."""
    booking = queries.booking_by_reference(reference)
    lines = books.lines_of(booking)
    total = sum(line.amount_minor for line in lines)
    if as_json:
        entries = [
            {
                "at": instant(line.at),
                "event": line.event,
                "account": line.account,
                "amount": line.amount_minor,
            }
            for line in lines
        ]
        machine({"reference": booking.reference, "currency": booking.currency,
                 "lines": entries, "sum": total})  # fmt: skip
        return
    table(
        ("at (UTC)", "event", "account", "amount"),
        [
            (
                instant(line.at),
                line.event,
                line.account,
                formatting.money(line.amount_minor, line.currency),
            )
            for line in lines
        ],
        none=f"{booking.reference} has no ledger lines: it is free.",
    )
    if lines:
        click.echo(f"sum {formatting.money(total, booking.currency)}")


@click.command()
@json_option
@with_database
def replay(as_json: bool) -> int:
    """Recompute what is stored from what happened; exit status 1 if something differs."""
    with Console(stderr=True).status("Replaying every booking and therapist"):
        differences = list(replaying.compare(clock.now()))
    if as_json:
        machine({"differences": [asdict(each) for each in differences]})
    else:
        table(
            ("subject", "field", "stored", "replayed"),
            [(each.subject, each.field, each.stored, each.replayed) for each in differences],
            none="Everything stored follows from what happened.",
        )
    return 1 if differences else 0
