"""Bookings: finding them, reading them, answering and cancelling for others."""

import click

from app import clock
from app.cli.common import (
    Checked,
    details,
    json_option,
    machine,
    one_of,
    table,
    whole_number,
    with_database,
)
from app.cli.words import insist, instant
from app.rules.lifecycle import Actor, Move, Status, Via
from app.schemas import BookingDetail, BookingOut
from app.services import validation
from app.services.bookings import cancel, ledger, transitions
from app.store import queries
from app.store.models import Booking
from emails import formatting

reference_argument = click.argument("reference", metavar="REF")


@click.group()
def booking() -> None:
    """Find, read, answer and cancel bookings."""


@booking.command("list")
@click.option("--status", type=one_of(Status), help="Only bookings that stand there.")
@click.option("--therapist", "slug", metavar="SLUG", help="Only bookings of one therapist.")
@click.option("--late", is_flag=True, help="Only enquiries whose answer is overdue.")
@click.option("--limit", type=whole_number(1, 1000), default=50, show_default=True,
              help="The most to print, newest first.")  # fmt: skip
@json_option
@with_database
def list_(status: str | None, slug: str | None, late: bool, limit: int, as_json: bool) -> None:
    """List bookings, the newest first."""
    now = clock.now()
    found = queries.newest_bookings(
        status=Status(status) if status else None,
        therapist=queries.therapist_by_slug(slug) if slug else None,
        late_at=now if late else None,
        limit=limit,
    )
    shown = [BookingOut.of(each, now) for each in found]
    if as_json:
        machine(shown)
        return
    table(
        ("reference", "status", "therapist", "starts (UTC)", "answer by (UTC)", "late", "price"),
        [
            (
                each.reference,
                each.status,
                each.therapist,
                instant(each.starts_at),
                instant(each.answer_by),
                "late" if each.late else "",
                formatting.money(each.price.amount, each.price.currency),
            )
            for each in shown
        ],
        none="No booking fits.",
    )


@booking.command()
@reference_argument
@json_option
@with_database
def show(reference: str, as_json: bool) -> None:
    """Print a booking's state, timeline and ledger; never what people wrote."""
    _tell(transitions.refresh(reference, via=Via.CLI, now=clock.now()), as_json)


@booking.command()
@reference_argument
@json_option
@with_database
def accept(reference: str, as_json: bool) -> None:
    """Accept an enquiry for its therapist."""
    outcome = transitions.make_move(
        reference, Move.ACCEPT, by=Actor.OPS, via=Via.CLI, now=clock.now()
    )
    insist(outcome, "accepted")
    _tell(outcome.booking, as_json)


@booking.command()
@reference_argument
@click.option("--reason", type=Checked("TEXT", validation.text), default="",
              help="Why, for the client; it waits behind their link.")  # fmt: skip
@json_option
@with_database
def decline(reference: str, reason: str, as_json: bool) -> None:
    """Decline an enquiry for its therapist; the client is refunded."""
    outcome = transitions.make_move(
        reference, Move.DECLINE, by=Actor.OPS, via=Via.CLI, now=clock.now(), reason=reason
    )
    insist(outcome, "declined")
    _tell(outcome.booking, as_json)


@booking.command("cancel")
@reference_argument
@click.option("--by", "who", type=one_of(("client", "therapist")), required=True,
              help="For whom; it decides who pays what.")  # fmt: skip
@json_option
@with_database
def cancel_booking(reference: str, who: str, as_json: bool) -> None:
    """Cancel a session for client or therapist; a client's open enquiry is withdrawn."""
    outcome = cancel.cancel(reference, by=Actor(who), via=Via.CLI, now=clock.now())
    insist(outcome, f"cancelled by the {who}")
    _tell(outcome.booking, as_json)


def _tell(found: Booking, as_json: bool) -> None:
    timeline, lines = queries.timeline_of(found), ledger.lines_of(found)
    whole = BookingDetail.whole(found, timeline, lines, clock.now())
    if as_json:
        machine(whole)
        return
    money = (whole.price.amount, whole.price.currency)
    details(
        (
            ("reference", whole.reference),
            ("status", f"{whole.status}{' (answered late)' if whole.late else ''}"),
            ("therapist", whole.therapist),
            ("kind", whole.kind),
            ("starts", instant(whole.starts_at)),
            ("ends", instant(whole.ends_at)),
            ("requested", instant(whole.requested_at)),
            ("answer by", instant(whole.answer_by)),
            ("expires", instant(whole.expires_at)),
            ("price", formatting.money(*money)),
        )
    )
    click.echo()
    table(
        ("at (UTC)", "event", "by", "via"),
        [(instant(line.at), line.event, line.by, line.via) for line in whole.timeline],
        none="Nothing has happened yet.",
    )
    if whole.ledger:
        click.echo()
        table(
            ("account", "amount"),
            [(line.account, formatting.money(line.amount, money[1])) for line in whole.ledger],
            none="",
        )
