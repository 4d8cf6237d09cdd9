"""The outbox: what was sent, what waits, what failed and may be tried again."""

from dataclasses import asdict
from datetime import datetime

import click

from app import clock
from app.cli.common import (
    Checked,
    Mistake,
    details,
    json_option,
    machine,
    one_of,
    table,
    whole_number,
    with_database,
)
from app.cli.words import instant
from app.services import validation
from app.services.ops import outbox_skip
from app.services.ops.outbox_skip import SkipResult
from app.store import attempts, queries, requeue
from app.store import outbox as store
from app.store.models import DeliveryAttempt, OutboxEmail, OutboxStatus
from app.store.queries import metrics

_MOST = 2**63 - 1


def _number(text: str) -> int:
    if not 1 <= int(text) <= _MOST:
        raise ValueError
    return int(text)


NUMBER = Checked("ID", _number, lambda: "the number of an email, such as 7")


INSTANT = Checked("INSTANT", validation.instant, lambda: "an instant such as 2026-11-03T10:00:00Z")


@click.group()
def outbox() -> None:
    """Look at emails and try failed ones again."""


@outbox.command("list")
@click.option("--status", type=one_of(OutboxStatus), help="Only emails that stand there.")
@click.option("--limit", type=whole_number(1, 1000), default=50, show_default=True,
              help="The most to print, newest first.")  # fmt: skip
@json_option
@with_database
def list_(status: str | None, limit: int, as_json: bool) -> None:
    """List emails wherever they stand, the newest first."""
    asked = OutboxStatus(status) if status else None
    found = queries.newest_emails(asked, limit)
    if as_json:
        machine([_facts(each) for each in found])
    else:
        _print(found)
    standing = metrics.emails()
    more = (standing[asked] if asked else sum(standing.values())) - len(found)
    if more > 0:
        click.echo(f"… and {more} more: --limit N, or --status", err=as_json)


def _print(emails: list[OutboxEmail]) -> None:
    table(
        ("id", "kind", "to", "about", "status", "tries", "due (UTC)", "error"),
        [
            (
                each.id,
                each.kind,
                each.role,
                each.about,
                each.status,
                each.attempts,
                instant(each.due_at),
                each.last_error,
            )
            for each in emails
        ],
        none="No email fits.",
    )


@outbox.command()
@click.argument("number", metavar="ID", type=NUMBER)
@json_option
@with_database
def show(number: int, as_json: bool) -> None:
    """Print where one email stands and every attempt at it; never its text or its links."""
    email = queries.email_by_id(number)
    facts, tries = _facts(email), [_try(each) for each in attempts.of_email(email)]
    if as_json:
        machine({**facts, "history": tries})
        return
    details((name.replace("_", " "), value) for name, value in facts.items())
    click.echo()
    table(
        ("tried (UTC)", "outcome", "code", "what was said"),
        [tuple(each.values()) for each in tries],
        none="Nobody has tried to deliver it yet.",
    )


@outbox.command()
@click.argument("number", metavar="ID", type=NUMBER, required=False)
@json_option
@with_database
def retry(number: int | None, as_json: bool) -> None:
    """Queue one failed email again, or all of them."""
    queued = requeue.retry(number, clock.now())
    if number is not None and not queued:
        status = queries.email_by_id(number).status
        raise Mistake(f"email {number} is {status}; only a failed one can be tried again")
    if as_json:
        machine({"queued": queued})
    else:
        click.echo(f"Queued again: {queued}.")


@outbox.command()
@json_option
@with_database
def hold(as_json: bool) -> None:
    """Send nothing until release, for a database restored by other means."""
    store.hold(clock.now())
    since = instant(store.held_since())
    if as_json:
        machine({"held_since": since})
    else:
        click.echo(f"The outbox is held since {since}.")


@outbox.command()
@json_option
@with_database
def release(as_json: bool) -> None:
    """Let a held outbox send again."""
    was_held = store.held_since() is not None
    due = store.release(clock.now())
    if as_json:
        machine({"released": was_held, "due": due})
    else:
        click.echo(f"{'Released' if was_held else 'It was not held'}: {due} emails are due.")


@outbox.command()
@click.argument("numbers", metavar="[ID]...", type=NUMBER, nargs=-1)
@click.option("--due-before", type=INSTANT, help="Every waiting email that was due before then.")
@json_option
@with_database
def skip(numbers: tuple[int, ...], due_before: datetime | None, as_json: bool) -> int:
    """Leave emails out that wait, for those sent since a backup was taken."""
    if bool(numbers) == (due_before is not None):
        raise Mistake("name the emails by ID, or give --due-before: one of the two")
    now = clock.now()
    if due_before is not None and due_before > now:
        raise Mistake("--due-before should be a moment that has passed")
    if due_before is None:
        left = SkipResult(outbox_skip.skip(numbers, now))
    else:
        left = outbox_skip.skip_due_before(due_before, now)
    until = instant(left.in_hand_until) if left.in_hand_until else None
    if as_json:
        machine({**asdict(left), "in_hand_until": until})
    else:
        click.echo(f"Left out: {left.skipped}.")
    if left.in_hand:
        click.echo(
            f"mindsum: {left.in_hand} more are in a scheduler's hands until {until}:"
            " wait for that, then run this again",
            err=True,
        )
    if left.failed_steps:
        click.echo(
            f"mindsum: {left.failed_steps} steps could not be taken, as logged above:"
            " their emails may come later",
            err=True,
        )
    return 0 if left.is_complete else 1


def _facts(email: OutboxEmail) -> dict[str, object]:
    return {
        "id": email.id,
        "kind": email.kind,
        "to": email.role,
        "about": email.about,
        "status": email.status,
        "attempts": email.attempts,
        "created_at": instant(email.created_at),
        "due_at": instant(email.due_at),
        "first_tried_at": instant(email.first_tried_at),
        "settled_at": instant(email.settled_at),
        "error": email.last_error,
    }


def _try(attempt: DeliveryAttempt) -> dict[str, object]:
    return {
        "at": instant(attempt.at),
        "outcome": attempt.outcome,
        "code": attempt.code,
        "said": attempt.said,
    }
