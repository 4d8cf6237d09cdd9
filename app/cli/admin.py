"""The service itself: demo, database, check, ledger and replay."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import click
import peewee
from flask import Flask
from rich.console import Console

from app import clock, config, config_checks
from app.cli import FAULT, MISTAKE, check_mail
from app.cli.common import (
    json_option,
    print_json,
    print_table,
    reference_argument,
    utc,
    whole_number,
    with_app,
    with_database,
)
from app.errors import ConfigError, StoreUnavailable
from app.services import limits
from app.services.bookings import ledger as ledger_lines
from app.services.ops import acts, erasures, health
from app.services.ops import backup as backups
from app.services.ops import replay as replaying
from app.services.ops import scrub as scrubbing
from app.store import encryption, erasure_log, queries
from app.store.db import database
from app.store.queries.inbound import oldest_waiting_at
from emails import formatting
from emails.addresses import email_key


@click.command()
@click.option(
    "--port", type=whole_number(1, 65535), help="The site's port; without it PORT, or 8000."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep everything in this folder.",
)
@click.option("--empty", is_flag=True, help="Therapists alone, without three weeks of bookings.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the addresses as one line of JSON, logs apart."
)
def demo(port: int | None, data: Path | None, empty: bool, as_json: bool) -> int:
    # Only this command needs honcho and the demo's therapists.
    from app.demo import run as demo_run  # noqa: PLC0415

    return demo_run.run(port or config.load().port, data, is_empty=empty, as_json=as_json)


@click.group()
def db() -> None:
    pass


@db.command()
@json_option
@with_app
def upgrade(as_json: bool) -> None:
    """Bring the schema up to date; can be run twice, also from several places at once.

    People in ERASURE_LOG that a restored backup brought back are erased again.
    """
    steps = database.upgrade()
    with database.connection():
        erased = erasures.erase_again(clock.now())
    if as_json:
        print_json({"applied": steps, "erased_again": erased})
        return
    click.echo(f"Applied: {', '.join(steps)}." if steps else "The schema is up to date.")
    if erased:
        click.echo(f"Erased again: {erased} people.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@with_app
def backup(file: Path, as_json: bool) -> None:
    """Write the SQLite database to a new file while it is in use."""
    size = backups.backup(file)
    acts.record_afterwards("db_backup", clock.now())
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"Wrote {file}: {size} bytes.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Even if the present database is not empty.")
@json_option
@with_app
def restore(file: Path, replace: bool, as_json: bool) -> None:
    """Put a backup in place of the SQLite database; its emails wait for `outbox release`."""
    restored = backups.restore(file, backups.live_file(), clock.now(), replace=replace)
    if as_json:
        print_json(asdict(restored))
        return
    click.echo(f"Restored {restored.bookings} bookings from {file}.")
    if restored.erased_again:
        click.echo(f"Erased again, as since the backup: {restored.erased_again} people.")
    if restored.set_aside:
        click.echo(f"The replaced database is kept as {restored.set_aside}; delete it in the end.")
    click.echo(f"The outbox is on hold with {restored.emails_waiting} emails waiting.")
    command = config.current().command
    click.echo(f"Look at them ({command} outbox list), skip those sent since the backup was taken")
    click.echo(f"({command} outbox skip), then send the others ({command} outbox release).")


@db.command()
@json_option
@with_database
def scrub(as_json: bool) -> int:
    """Rewrite the database's files, so that they hold no erased data; in a quiet hour.

    SQLite needs as much free space again. PostgreSQL locks each table while it is rewritten. Exit
    status 1 if some table could not be rewritten, because another program had locked it.
    """
    with Console(stderr=True).status("Rewriting the database"):
        scrubbed = scrubbing.scrub_database(clock.now())
    if as_json:
        print_json(asdict(scrubbed))
    else:
        click.echo("The database's files are rewritten. What may still hold erased data:")
        for each in scrubbed.left:
            click.echo(f"- {each}")
        for table in scrubbed.locked:
            click.echo(f"{table} was locked by another program; run this again.", err=True)
    return FAULT if scrubbed.locked else 0


# What comes in by mail is handled within seconds.
LONGEST_WAIT_OF_MAIL = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class CheckResult:
    check: str
    ok: bool
    detail: str


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def check(context: click.Context, as_json: bool) -> int:
    """Check settings, database, scheduler, outbox and mail server.

    Exit status 2 if a setting is at fault, 1 if something else fails.
    """
    if context.invoked_subcommand is not None:
        return 0
    results = list(_check_all(context.obj))
    if as_json:
        print_json([asdict(each) for each in results])
    else:
        for each in results:
            click.echo(f"{each.check:<9} {'ok' if each.ok else 'FAILED':<7} {each.detail}")
    failed = {each.check for each in results if not each.ok}
    return MISTAKE if "settings" in failed else FAULT if failed else 0


check.add_command(check_mail.mail)


def _check_all(create: Callable[[], Flask]) -> Iterator[CheckResult]:
    try:
        app = create()
    except ConfigError:
        readable, faults = config.read()
        if readable is not None:
            faults += config_checks.missing_address(readable)
        yield from (CheckResult("settings", False, str(fault)) for fault in faults)
        return
    settings = config.current()
    faults = list(config_checks.missing_address(settings))
    yield from (CheckResult("settings", False, str(fault)) for fault in faults)
    if not faults:
        yield CheckResult("settings", True, f"for {settings.public_url}")
    yield CheckResult("notes_key", True, _fingerprints(settings.notes_key))
    yield from _check_ops_desk(settings)
    yield _check_erasures(settings)
    with app.app_context():
        yield from _check_database()
        yield from _check_mail_door(settings)
        domain = settings.inbound_domain
        problem = app.extensions["mailer"].check(f"bounce@{domain}" if domain else None)
        mail_server = f"{settings.mail_server}:{settings.mail_port}"
        yield CheckResult("mail", problem is None, problem or f"{mail_server} takes mail")


def _check_ops_desk(settings: config.Settings) -> Iterator[CheckResult]:
    if not settings.ops_sign_in:
        return
    says = f"for {', '.join(settings.ops_sign_in)}"
    if email_key(settings.ops_email) in map(email_key, settings.ops_sign_in):
        says += "; OPS_EMAIL is one of them: name persons, since a shared mailbox acts without one"
    yield CheckResult("ops_desk", True, says)


def _check_mail_door(settings: config.Settings) -> Iterator[CheckResult]:
    if settings.inbound_domain is None:
        return
    try:
        with database.connection():
            oldest_at = oldest_waiting_at(clock.now())
    except (StoreUnavailable, peewee.DatabaseError):
        # The line of the database says it.
        return
    waits = clock.now() - oldest_at if oldest_at else timedelta(0)
    is_ok = waits < LONGEST_WAIT_OF_MAIL
    stuck = f"a message has waited for {waits}: look at the scheduler's job process_inbound"
    yield CheckResult("mail_door", is_ok, f"for {settings.inbound_domain}" if is_ok else stuck)


def _check_erasures(settings: config.Settings) -> CheckResult:
    path = settings.erasure_log_path
    if path is None:
        forgotten = "not remembered: without ERASURE_LOG an old backup brings people back"
        return CheckResult("erasures", True, forgotten)
    try:
        erasure_log.load()
    except erasure_log.ErasureLogUnusable as error:
        return CheckResult("erasures", False, str(error))
    return CheckResult("erasures", True, f"are remembered in {path.name}")


def _fingerprints(keys: Sequence[str]) -> str:
    newest, *older = map(encryption.fingerprint, keys)
    return f"fingerprint {newest}" + (f"; also reads {', '.join(older)}" if older else "")


def _check_database() -> Iterator[CheckResult]:
    # What /readyz checks, and whether the database can be written.
    kind = "SQLite" if database.is_sqlite() else "PostgreSQL"
    try:
        fault = database.schema_fault()
        with database.connection():
            checks = [] if fault else health.checks(clock.now(), tries_writing=True)
            hides_networks = not fault and limits.hides_networks(clock.now())
    except (StoreUnavailable, peewee.DatabaseError) as error:
        detail = f"{kind} does not answer: {str(error).splitlines()[0]}"
        yield CheckResult("database", False, detail)
        return
    if fault:
        yield CheckResult("database", False, f"the schema of {kind} {fault}")
        return
    if hides_networks:
        detail = (
            "TRUSTED_PROXIES is 0 but a proxy sends X-Forwarded-For: requests are not limited by"
            " network; set how many proxies are in front"
        )
        yield CheckResult("proxies", False, detail)
    for each in checks:
        if each.name == "database":
            good = "can be read and written, and its schema is current"
            yield CheckResult(each.name, each.is_ok, f"{kind} {good if each.is_ok else each.says}")
        elif each.name != "schema":  # said in the line of the database
            yield CheckResult(each.name, each.is_ok, each.says)


@click.group()
def ledger() -> None:
    pass


@ledger.command("show")
@reference_argument
@json_option
@with_database
def ledger_show(reference: str, as_json: bool) -> None:
    """Print the ledger lines of one booking."""
    booking = queries.booking_by_reference(reference)
    acts.record_view(acts.view_of("ledger", booking=booking), clock.now())
    lines = ledger_lines.lines_of(booking)
    total = sum(line.amount_minor for line in lines)
    if as_json:
        entries = [
            {
                "at": utc(line.at),
                "event": line.event,
                "account": line.account,
                "amount": line.amount_minor,
            }
            for line in lines
        ]
        print_json({"reference": booking.reference, "currency": booking.currency,
                 "lines": entries, "sum": total})  # fmt: skip
        return
    print_table(
        ("at (UTC)", "event", "account", "amount"),
        [
            (
                utc(line.at),
                line.event,
                line.account,
                formatting.money(line.amount_minor, line.currency),
            )
            for line in lines
        ],
        empty=f"{booking.reference} has no ledger lines: it is free.",
    )
    if lines:
        click.echo(f"sum {formatting.money(total, booking.currency)}")


@click.command()
@json_option
@with_database
def replay(as_json: bool) -> int:
    """Recompute what is stored from what happened; exit status 1 if something differs."""
    with Console(stderr=True).status("Replaying every booking and therapist"):
        differences = list(replaying.find_differences(clock.now()))
    if as_json:
        print_json({"differences": [asdict(each) for each in differences]})
    else:
        print_table(
            ("subject", "field", "stored", "replayed"),
            [(each.subject, each.field, each.stored, each.replayed) for each in differences],
            empty="Everything stored follows from what happened.",
        )
    return 1 if differences else 0
