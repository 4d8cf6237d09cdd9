"""A booking in words, for whoever reads it: where it stands, what comes next, what happened."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.rules.lifecycle import Actor
from app.services.bookings import transitions
from app.store.models import Booking, TimelineEntry
from emails.formatting import money

_BY_OPS = {
    "accepted": "We accepted the request for {therapist}.",
    "declined": "We declined the request for {therapist}.",
}
_TO_CLIENT = {
    "requested": "You asked {therapist} for this time.",
    "reminded": "We reminded {therapist} to answer.",
    "late": "The answer was due. We are chasing {therapist}, and told you so.",
    "accepted": "{therapist} accepted.",
    "declined": "{therapist} declined. {money}",
    "withdrawn": "You withdrew the request. {money}",
    "expired": "The request ended without an answer. {money}",
    "cancelled_by_client": "You cancelled the session. {money}",
    "cancelled_by_therapist": "{therapist} cancelled the session. {money}",
    "completed": "The session took place. {money}",
    "no_show": "{therapist} recorded that you did not come. {money}",
}
_TO_THERAPIST = {
    "requested": "{client} asked for this time.",
    "reminded": "We reminded you to answer.",
    "late": "Your answer was due. We told {client} that we are chasing it.",
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
    """One line of a timeline in words."""

    at: datetime
    event: str
    sentence: str


def settlement_facts(
    booking: Booking, timeline: Sequence[TimelineEntry], now: datetime
) -> dict[str, Any]:
    """Who was refunded, charged and paid what when the booking ended; empty while it has not."""
    due = booking.due_move(now)
    if due is not None:
        settlement = transitions.settlement_of(booking, *due)
        return asdict(settlement) if settlement else {}
    ends = [line.facts for line in timeline if line.event == booking.status]
    return dict(ends[-1]) if ends else {}


def timeline(booking: Booking, lines: Sequence[TimelineEntry], reader: Actor) -> list[TimelineItem]:
    """What happened, oldest first, said to the client or to the therapist."""
    return [TimelineItem(line.at, line.event, _sentence(booking, line, reader)) for line in lines]


def money_sentence(facts: dict[str, Any], currency: str, reader: Actor) -> str:
    """What an ending meant in money, in one sentence; empty where no money was in it."""
    refund, charge = facts.get("refund_minor", 0), facts.get("charge_minor", 0)
    if reader is Actor.CLIENT:
        if refund:
            return f"{money(refund, currency)} was refunded to you."
        return f"{money(charge, currency)} was charged." if charge else ""
    if refund:
        return f"The client was refunded {money(refund, currency)}."
    payout = facts.get("payout_minor", 0)
    return f"You receive {money(payout, currency)}." if payout else ""


def _sentence(booking: Booking, line: TimelineEntry, reader: Actor) -> str:
    said = _TO_CLIENT if reader is Actor.CLIENT else _TO_THERAPIST
    words = _BY_OPS.get(line.event) if line.by is Actor.OPS else None
    return (
        (words or said[line.event])
        .format(
            client=booking.client.given_name,
            therapist=booking.therapist.given_name,
            money=money_sentence(line.facts, booking.currency, reader),
        )
        .strip()
    )
