"""What exports for clients and for therapists say of bookings, emails and the access trail."""

from collections.abc import Iterable
from typing import Any

from peewee import Expression

from app.services.bookings import ledger
from app.store import queries
from app.store.models import AccessEntry, Booking, OutboxEmail, Role, TimelineEntry, Writing

Values = dict[str, Any]


def booking(each: Booking, role: Role, written: Iterable[Writing]) -> Values:
    """A booking with its history, its money and the emails to that side of it."""
    timeline = TimelineEntry.select().where(TimelineEntry.booking == each)
    return {
        "kind": str(each.kind),
        "status": str(each.status),
        "starts_at": each.starts_at.isoformat(),
        "fee_minor": each.fee_minor,
        "currency": each.currency,
        "written": [
            {
                "by": str(text.author),
                "what": str(text.purpose),
                "text": text.body,
                "at": text.created_at.isoformat(),
            }
            for text in written
        ],
        "timeline": [
            {"event": line.event, "by": str(line.by), "at": line.at.isoformat()}
            for line in timeline.order_by(TimelineEntry.id)
        ],
        "proposals": [
            {
                "by": str(proposal.by),
                "starts": [start.isoformat() for start in starts],
                "at": proposal.made_at.isoformat(),
                "outcome": str(proposal.outcome or "open"),
            }
            for proposal, starts in queries.proposals_of(each)
        ],
        "ledger": [
            {"account": line.account, "amount_minor": line.amount_minor}
            for line in ledger.lines_of(each)
        ],
        "emails": emails((OutboxEmail.booking == each) & (OutboxEmail.role == role)),
    }


def emails(which: Expression) -> list[Values]:
    return [
        {"kind": each.kind, "status": str(each.status), "at": each.created_at.isoformat()}
        for each in OutboxEmail.select().where(which).order_by(OutboxEmail.id)
    ]


def access(entry: AccessEntry) -> Values:
    return {
        "at": entry.at.isoformat(),
        "event": str(entry.event),
        "about": entry.about,
        "by": str(entry.by),
        "via": str(entry.via),
        "booking": entry.booking.reference if entry.booking else None,
        "times": entry.times,
    }
