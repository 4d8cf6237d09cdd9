"""`mindsum booking`: find, read, answer, move and cancel bookings; end their links."""

from dataclasses import replace
from datetime import date, datetime

import click

from app import clock
from app.cli.common import (
    Checked,
    Mistake,
    json_option,
    limit_option,
    one_of,
    print_details,
    print_json,
    print_table,
    reference_argument,
    require_done,
    utc,
    with_database,
)
from app.errors import InvalidFields
from app.rules.lifecycle import LIVE, Actor, Move, Status, Via
from app.schemas import BookingOut, OpsBookingDetail, OpsTimelineLine
from app.services import validation
from app.services.bookings import ledger, transitions
from app.services.bookings.session_facts import session_of
from app.services.mail.reach import reach_of
from app.services.ops import acts
from app.services.ops import bookings as ops
from app.store import queries
from app.store.models import Booking, Client
from emails import fee_words, formatting


@click.group()
def booking() -> None:
    pass


@booking.command("list")
@click.option("--status", type=one_of(Status), help="Only bookings with this status.")
@click.option("--therapist", "slug", metavar="SLUG", help="Only bookings of this therapist.")
@click.option("--client", "email", type=Checked("EMAIL", validation.email),
              help="Only bookings of the client with this address.")  # fmt: skip
@click.option("--date", "day", type=Checked("DAY", validation.day, lambda: "a day such as"
              " 2026-11-03"), help="Only sessions that start on this day of UTC, the first"
              " one first.")  # fmt: skip
@click.option("--late", is_flag=True, help="Only enquiries whose answer is overdue.")
@limit_option
@json_option
@with_database
def list_(
    status: str | None,
    slug: str | None,
    email: str | None,
    day: date | None,
    late: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List bookings, the newest first."""
    now = clock.now()
    filters = ops.filters(
        status=Status(status) if status else None,
        therapist=queries.therapist_by_slug(slug) if slug else None,
        client=_client_with(email) if email else None,
        late_at=now if late else None,
        day=day,
    )
    rows = queries.find_bookings(filters, limit=limit)
    if email is not None:
        acts.record_view(acts.view_of("search client", client=filters.client), now)
    shown = [BookingOut.from_booking(each, now) for each in rows]
    if as_json:
        print_json(shown)
        return
    print_table(
        ("reference", "status", "therapist", "starts (UTC)", "answer by (UTC)", "late", "price"),
        [
            (
                each.reference,
                each.status,
                each.therapist,
                utc(each.starts_at),
                utc(each.answer_by),
                "late" if each.late else "",
                formatting.money(each.price.amount, each.price.currency),
            )
            for each in shown
        ],
        empty="No booking fits.",
    )


def _client_with(address: str) -> Client:
    client = queries.client_by_email(address)
    if client is None:
        raise Mistake(f"there is no client {address!r}")
    return client


@booking.command()
@reference_argument
@json_option
@with_database
def show(reference: str, as_json: bool) -> None:
    """Print a booking's state, timeline and ledger, without what people wrote."""
    row = transitions.refresh(reference, via=Via.CLI, now=clock.now())
    acts.record_view(acts.view_of("booking", booking=row), clock.now())
    _print_booking(row, as_json)


@booking.command()
@reference_argument
@json_option
@with_database
def accept(reference: str, as_json: bool) -> None:
    """Accept an enquiry for its therapist."""
    result = ops.answer(reference, Move.ACCEPT, via=Via.CLI, now=clock.now())
    require_done(result, "accepted")
    _print_booking(result.booking, as_json)


@booking.command()
@reference_argument
@click.option("--reason", type=Checked("TEXT", validation.text), default="",
              help="Why; the client reads it behind their link, never in an email.")  # fmt: skip
@json_option
@with_database
def decline(reference: str, reason: str, as_json: bool) -> None:
    """Decline an enquiry for its therapist; the client pays nothing."""
    result = ops.answer(reference, Move.DECLINE, via=Via.CLI, now=clock.now(), reason=reason)
    require_done(result, "declined")
    _print_booking(result.booking, as_json)


@booking.command("cancel")
@reference_argument
@click.option("--by", "who", type=one_of(("client", "therapist")), required=True,
              help="Who cancels; it decides who pays what.")  # fmt: skip
@json_option
@with_database
def cancel_booking(reference: str, who: str, as_json: bool) -> None:
    """Cancel a session for client or therapist; a client's open enquiry is withdrawn."""
    result = ops.cancel_for(Actor(who), reference, via=Via.CLI, now=clock.now())
    require_done(result, f"cancelled by the {who}")
    _print_booking(result.booking, as_json)


@booking.command("move")
@reference_argument
@click.option("--to", "start", type=Checked("START", validation.instant), required=True,
              help="Another open start, such as 2026-11-03T10:00:00Z.")  # fmt: skip
@click.option("--by", "who", type=one_of(("client", "therapist")), required=True,
              help="Who asks for it, or takes it if the other side has offered it.")  # fmt: skip
@json_option
@with_database
def move_booking(reference: str, start: datetime, who: str, as_json: bool) -> None:
    """Move a booking for client or therapist: offer another time, or take the one offered."""
    try:
        row = ops.move_for(Actor(who), reference, start, via=Via.CLI, now=clock.now())
    except InvalidFields as error:
        raise Mistake(f"--to: {error.errors[0].message}") from None
    _print_booking(row, as_json)


@booking.command("revoke-links")
@reference_argument
@json_option
@with_database
def revoke_links(reference: str, as_json: bool) -> None:
    """End all links to a booking; emails that leave later carry new ones."""
    _print_booking(ops.revoke_links(reference, clock.now()), as_json)


def _print_booking(row: Booking, as_json: bool) -> None:
    timeline, lines = queries.timeline_of(row), ledger.lines_of(row)
    whole = OpsBookingDetail.with_history(row, timeline, lines, clock.now())
    if as_json:
        print_json(whole)
        return
    money = (whole.price.amount, whole.price.currency)
    print_details(
        (
            ("reference", whole.reference),
            ("status", f"{whole.status}{_lateness(row) if whole.late else ''}"),
            ("therapist", whole.therapist),
            ("kind", whole.kind),
            ("starts", utc(whole.starts_at)),
            ("ends", utc(whole.ends_at)),
            ("requested", utc(whole.requested_at)),
            ("answer by", utc(whole.answer_by)),
            ("expires", utc(whole.expires_at)),
            ("price", formatting.money(*money)),
            *_proposal(whole),
            *_cancelling(row),
            *_unreached(row),
        )
    )
    click.echo()
    print_table(
        ("at (UTC)", "event", "by", "via"),
        [(utc(line.at), line.event, line.by, _way_in(line)) for line in whole.timeline],
        empty="Nothing has happened yet.",
    )
    if whole.ledger:
        click.echo()
        print_table(
            ("account", "amount"),
            [(line.account, formatting.money(line.amount, money[1])) for line in whole.ledger],
            empty="",
        )


def _way_in(line: OpsTimelineLine) -> str:
    who = line.api_key or line.ops
    return f"{line.via} ({who})" if who else line.via


def _proposal(whole: BookingOut) -> list[tuple[str, str]]:
    if whole.proposal is None:
        return []
    starts = ", ".join(utc(each) or "" for each in whole.proposal.starts)
    until = utc(whole.proposal.until)
    return [("proposed", f"{starts} by the {whole.proposal.by}, until {until}")]


def _lateness(row: Booking) -> str:
    return " (answered late)" if row.answered_at else " (not answered in time)"


def _unreached(row: Booking) -> list[tuple[str, str]]:
    return [
        (f"{side.role} unreached", f"since {utc(side.since)}, email {side.email}: {side.why}")
        for side in reach_of(row, clock.now()).unreached
    ]


def _cancelling(row: Booking) -> list[tuple[str, str]]:
    """The client's rule while it matters; no names, since they may be shown to others."""
    now = clock.now()
    if row.status not in LIVE or now >= row.starts_at:
        return []
    session = replace(session_of(row), client_name="the client", therapist_name="the therapist")
    rule = transitions.cancelling_rule_of(row, now)
    return [("cancelling", fee_words.cancelling(session.fee_for("ops"), rule, "UTC"))]
