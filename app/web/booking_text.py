"""A booking's timeline and money in sentences, for its client or its therapist."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app import config
from app.rules import reminders
from app.rules.lifecycle import Actor, Status
from app.services.bookings import transitions
from app.store.models import Booking, TimelineEntry
from emails.formatting import duration, money

_BY_OPS = {
    "accepted": "We accepted the request for {therapist}.",
    "declined": "We declined the request for {therapist}.",
}
_FOR_CLIENT = {
    "requested": "You asked {therapist} for this time.",
    "reminded": "We reminded {therapist} to answer.",
    "late": "The answer was due. We are chasing {therapist}.",
    "accepted": "{therapist} accepted.",
    "declined": "{therapist} declined. {money}",
    "withdrawn": "You withdrew the request. {money}",
    "expired": "The request ended without an answer. {money}",
    "cancelled_by_client": "You cancelled the session. {money}",
    "cancelled_by_therapist": "{therapist} cancelled the session. {money}",
    "completed": "The session took place. {money}",
    "no_show": "{therapist} recorded that you did not come. {money}",
}
_FOR_THERAPIST = {
    "requested": "{client} asked for this time.",
    "reminded": "We reminded you to answer.",
    "late": "Your answer was due.",
    "accepted": "You accepted.",
    "declined": "You declined. {money}",
    "withdrawn": "{client} withdrew the request. {money}",
    "expired": "The request ended without an answer. {money}",
    "cancelled_by_client": "{client} cancelled the session. {money}",
    "cancelled_by_therapist": "You cancelled the session. {money}",
    "completed": "The session took place. {money}",
    "no_show": "You recorded that {client} did not come. {money}",
}


@dataclass(frozen=True, slots=True)
class TimelineItem:
    at: datetime
    event: str
    sentence: str


def reminder_times(booking: Booking, now: datetime) -> str:
    """`26 hours and 1 hour before it starts`, of the reminders still to come; empty if none."""
    due = reminders.Reminders(booking.day_reminder_due_at, booking.hour_reminder_due_at)
    if booking.status is Status.REQUESTED:
        due = reminders.reminders(booking.starts_at, now, config.current().policy)
    ahead = [at for at in (due.first_at, due.second_at) if at is not None and at > now]
    lengths = " and ".join(duration(booking.starts_at - at) for at in ahead)
    return lengths and f"{lengths} before it starts"


def settlement_facts(
    booking: Booking, entries: Sequence[TimelineEntry], now: datetime
) -> dict[str, Any]:
    """What the booking's end moved, as in the timeline's facts; empty while it has not ended."""
    due = booking.due_move(now)
    if due is not None:
        settlement = transitions.settlement_of(booking, *due)
        return asdict(settlement) if settlement else {}
    ends = [entry.facts for entry in entries if entry.event == booking.status]
    return dict(ends[-1]) if ends else {}


def timeline(
    booking: Booking, entries: Sequence[TimelineEntry], reader: Actor
) -> list[TimelineItem]:
    return [
        TimelineItem(entry.at, entry.event, _sentence(booking, entry, reader)) for entry in entries
    ]


def _sentence(booking: Booking, entry: TimelineEntry, reader: Actor) -> str:
    template = (_FOR_CLIENT if reader is Actor.CLIENT else _FOR_THERAPIST)[entry.event]
    if entry.by is Actor.OPS:
        template = _BY_OPS.get(entry.event, template)
    sentence = template.format(
        client=booking.client.given_name,
        therapist=booking.therapist.given_name,
        money=_money_sentence(entry.facts, booking.currency, reader),
    )
    return sentence.strip()


def _money_sentence(facts: dict[str, Any], currency: str, reader: Actor) -> str:
    """What an end moved, in one sentence; empty if it moved nothing."""
    refund, charge = facts.get("refund_minor", 0), facts.get("charge_minor", 0)
    if reader is Actor.CLIENT:
        if refund:
            return f"{money(refund, currency)} was refunded to you."
        return f"{money(charge, currency)} was charged." if charge else ""
    if refund:
        return f"The client was refunded {money(refund, currency)}."
    payout = facts.get("payout_minor", 0)
    return f"You receive {money(payout, currency)}." if payout else ""
