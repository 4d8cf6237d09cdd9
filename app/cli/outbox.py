"""`mindsum outbox`: look at emails; retry, hold, release and skip them."""

from dataclasses import asdict
from datetime import datetime

import click

from app import clock
from app.cli.common import (
    INSTANT,
    REFERENCE,
    Checked,
    Mistake,
    choice_option,
    digits,
    json_option,
    limit_option,
    print_details,
    print_json,
    print_table,
    utc,
    with_database,
)
from app.services import validation
from app.services.ops import acts
from app.services.ops import outbox as ops
from app.services.ops import unreachable as unreachable_people
from app.services.ops.outbox import EmailState
from app.services.ops.outbox_skip import SkipResult
from app.store import pauses, queries
from app.store.models import DeliveryAttempt, OutboxEmail, OutboxStatus
from app.store.queries import EmailFilters
from emails.kinds import KINDS

# A larger one is no row id of either database.
NUMBER = Checked(
    "ID", lambda text: digits(text, 1, 2**63 - 1), lambda: "the number of an email, such as 7"
)


@click.group()
def outbox() -> None:
    pass


@outbox.command("list")
@choice_option("--status", OutboxStatus, "Only emails with this status.")
@choice_option("--kind", KINDS, "Only emails of this kind.")
@click.option("--booking", "reference", metavar="REF", type=REFERENCE,
              help="Only emails about this booking.")  # fmt: skip
@click.option("--therapist", "slug", metavar="SLUG",
              help="Only emails about this therapist or their bookings.")  # fmt: skip
@limit_option
@json_option
@with_database
def list_(
    status: str | None,
    kind: str | None,
    reference: str | None,
    slug: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List emails, the newest first."""
    wanted = OutboxStatus(status) if status else None
    filters = EmailFilters(
        status=wanted,
        kind=kind,
        booking=queries.booking_by_reference(reference) if reference else None,
        therapist=queries.therapist_by_slug(slug) if slug else None,
    )
    rows, state = queries.find_emails(filters, limit=limit), ops.state()
    if as_json:
        print_json([_json(each) for each in rows])
    else:
        _print(rows)
    for pause in state.pauses:
        what = "everything" if pause.scope == pauses.EVERYTHING else pause.scope
        click.echo(f"Paused until {utc(pause.until)}: {what} ({pause.reason})", err=as_json)
    if kind or reference or slug:
        return
    more = (state.counts[wanted] if wanted else sum(state.counts.values())) - len(rows)
    if more > 0:
        click.echo(f"… and {more} more: --limit N, or --status", err=as_json)


def _print(emails: list[OutboxEmail]) -> None:
    print_table(
        ("id", "kind", "to", "about", "status", "tries", "due (UTC)", "error"),
        [
            (
                each.id,
                each.kind,
                each.role,
                ops.about(each),
                each.status,
                each.attempts,
                utc(each.due_at),
                each.last_error,
            )
            for each in emails
        ],
        empty="No email fits.",
    )


@outbox.command()
@click.argument("number", metavar="ID", type=NUMBER)
@json_option
@with_database
def show(number: int, as_json: bool) -> None:
    """Print an email's state and every attempt to deliver it, without its text and links."""
    state = ops.email_state(number)
    fields = _json(state.email) | _waits(state)
    history = [_attempt_json(each) for each in state.attempts]
    if as_json:
        print_json({**fields, "history": history})
        return
    print_details((name.replace("_", " "), value) for name, value in fields.items())
    click.echo()
    print_table(
        ("tried (UTC)", "outcome", "code", "reply"),
        [tuple(each.values()) for each in history],
        empty="No attempt to deliver it yet.",
    )


@outbox.command()
@click.argument("number", metavar="ID", type=NUMBER, required=False)
@json_option
@with_database
def retry(number: int | None, as_json: bool) -> None:
    """Send one failed email again, or all of them."""
    queued = ops.retry(number, clock.now())
    if number is not None and not queued:
        status = queries.email_by_id(number).status
        raise Mistake(f"email {number} is {status}; only a failed one can be sent again")
    if as_json:
        print_json({"queued": queued})
    else:
        click.echo(f"Queued again: {queued}.")


@outbox.command()
@json_option
@with_database
def hold(as_json: bool) -> None:
    """Send nothing until `outbox release`, for a database restored by other means."""
    since = utc(ops.hold(clock.now()))
    if as_json:
        print_json({"held_since": since})
    else:
        click.echo(f"The outbox has been on hold since {since}.")


@outbox.command()
@json_option
@with_database
def release(as_json: bool) -> None:
    """End the hold."""
    was_held, due = ops.release(clock.now()), ops.due_count(clock.now())
    if as_json:
        print_json({"released": was_held, "due": due})
    else:
        click.echo(f"{'Released' if was_held else 'It was not on hold'}: {due} emails are due.")


@outbox.command()
@json_option
@with_database
def unreachable(as_json: bool) -> None:
    """List the addresses that emails do not reach, since when and why."""
    rows = [
        {
            "address": each.address,
            "who": each.who,
            "since": utc(each.suppression.at),
            "not_tried_until": utc(each.suppression.until),
            "why": each.suppression.reason,
        }
        for each in unreachable_people.people()
    ]
    acts.record_view(acts.view_of("unreachable"), clock.now())
    if as_json:
        print_json(rows)
        return
    columns = ("address", "who", "since (UTC)", "not tried until", "why")
    print_table(columns, [tuple(each.values()) for each in rows], empty="Emails reach everybody.")


@outbox.command("try-again")
@click.argument("email", type=Checked("EMAIL", validation.email))
@json_option
@with_database
def try_again(email: str, as_json: bool) -> None:
    """Send to an unreachable address again, beginning with what failed and is still true."""
    sent = unreachable_people.try_again(email, clock.now())
    if as_json:
        print_json({"queued": sent})
    else:
        click.echo(f"It is tried again. Emails queued: {sent}.")


@outbox.command()
@click.argument("numbers", metavar="[ID]...", type=NUMBER, nargs=-1)
@click.option("--due-before", type=INSTANT, help="Every waiting email that was due before then.")
@json_option
@with_database
def skip(numbers: tuple[int, ...], due_before: datetime | None, as_json: bool) -> int:
    """Skip waiting emails that were sent after the restored backup was taken."""
    if bool(numbers) == (due_before is not None):
        raise Mistake("give either the IDs of emails or --due-before")
    now = clock.now()
    if due_before is not None and due_before > now:
        raise Mistake("--due-before should be in the past")
    if due_before is None:
        left = SkipResult(ops.skip(numbers, now))
    else:
        left = ops.skip_due_before(due_before, now)
    until = utc(left.in_hand_until) if left.in_hand_until else None
    if as_json:
        print_json({**asdict(left), "in_hand_until": until})
    else:
        click.echo(f"Skipped: {left.skipped}.")
    if left.in_hand:
        click.echo(
            f"mindsum: {left.in_hand} more are in a scheduler's hands until {until}:"
            " wait for that, then run this again",
            err=True,
        )
    if left.failed_steps:
        click.echo(
            f"mindsum: {left.failed_steps} steps are still to be taken (failed, or locked by"
            " another process): their emails may come later; run this again",
            err=True,
        )
    return 0 if left.is_complete else 1


def _json(email: OutboxEmail) -> dict[str, object]:
    return {
        "id": email.id,
        "kind": email.kind,
        "to": email.role,
        "about": ops.about(email),
        "status": email.status,
        "attempts": email.attempts,
        "created_at": utc(email.created_at),
        "due_at": utc(email.due_at),
        "first_tried_at": utc(email.first_tried_at),
        "settled_at": utc(email.settled_at),
        "error": email.last_error,
    }


def _waits(state: EmailState) -> dict[str, object]:
    """Why it waits, beside its own state; absent values do not apply."""
    pause, address = state.pause, state.unreachable
    return {
        "domain_paused_until": utc(pause.until) if pause else None,
        "address_unreachable_since": utc(address.at) if address else None,
        "address_suppressed_until": utc(address.until) if address else None,
    }


def _attempt_json(attempt: DeliveryAttempt) -> dict[str, object]:
    return {
        "at": utc(attempt.at),
        "outcome": attempt.outcome,
        "code": attempt.code,
        "said": attempt.said,
    }
