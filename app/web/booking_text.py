"""A booking's timeline and money in sentences, for its client or its therapist."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app import config
from app.rules import cancellation, reminders
from app.rules.cancellation import CancellingRule, MoveTerms
from app.rules.lifecycle import Actor, Kind, Status, is_by_ops
from app.services.bookings import transitions
from app.services.bookings.session_facts import session_of
from app.services.mail.reach import Reach
from app.store.models import Booking, Therapist, TimelineEntry
from emails import fee_words
from emails.fee_words import FeeWords
from emails.formatting import date_time, duration, money, zone_name

_BY_OPS = {
    "accepted": "We accepted the request for {therapist}.",
    "declined": "We declined the request for {therapist}.",
}
_FOR_CLIENT = {
    "requested": "You asked {therapist} for this time.",
    "reminded": "We reminded {therapist} to answer.",
    "late": "The answer was due.",
    "proposal_lapsed": "There was no answer in time, so the old time stays.",
    "accepted": "{therapist} accepted.",
    "declined": "{therapist} declined. {money}",
    "withdrawn": "You withdrew the request. {money}",
    "expired": "The request ended without an answer. {money}",
    "cancelled_by_client": "You cancelled the session. {money}",
    "cancelled_by_therapist": "{therapist} cancelled the session. {money}",
    "completed": "The session took place. {money}",
    "no_show": "{therapist} recorded that you did not come. {money}",
    "client_unreachable": "An email to you did not arrive.",
    "therapist_unreachable": "An email to {therapist} did not arrive.",
}
_FOR_THERAPIST = {
    "requested": "{client} asked for this time.",
    "reminded": "We reminded you to answer.",
    "late": "Your answer was due.",
    "proposal_lapsed": "There was no answer in time, so the old time stays.",
    "accepted": "You accepted.",
    "declined": "You declined. {money}",
    "withdrawn": "{client} withdrew the request. {money}",
    "expired": "The request ended without an answer. {money}",
    "cancelled_by_client": "{client} cancelled the session. {money}",
    "cancelled_by_therapist": "You cancelled the session. {money}",
    "completed": "The session took place. {money}",
    "no_show": "You recorded that {client} did not come. {money}",
    "client_unreachable": "An email to {client} did not arrive.",
    "therapist_unreachable": "An email to you did not arrive.",
}


# What one side did, as the other and they themselves read it.
_TIMES: dict[str, tuple[str, str]] = {
    "proposed": ("You offered other times: {times}.", "{other} offered other times: {times}."),
    "proposal_declined": ("You kept the old time.", "{other} kept the old time."),
    "moved": ("You moved it to {to}.", "{other} moved it to {to}."),
    "accepted": ("With that it is booked.", "With that it is booked."),
    "cancelled_by_therapist": (
        "You cancelled because {other} had asked to move it. {money}",
        "{other} cancelled because you had asked to move it. {money}",
    ),
}


# What our team did for the reader.
_FOR_READER = {
    "proposed": "We offered other times for you: {times}.",
    "proposal_declined": "We kept the old time for you.",
    "moved": "We moved it to {to} for you.",
    "withdrawn": "We withdrew the request for you. {money}",
    "cancelled_by_client": "We cancelled the session for you. {money}",
    "cancelled_by_therapist": "We cancelled the session for you. {money}",
}

# The same event for another reason than no answer, as client and therapist read it.
_WHY: dict[tuple[str, str], tuple[str, str]] = {
    ("proposal_lapsed", "deactivated"): (
        "{therapist} stopped taking bookings, so the old time stays.",
        "Your account was deactivated, so the old time stays.",
    ),
    ("expired", "deactivated"): (
        "The request ended, since {therapist} stopped taking bookings. {money}",
        "The request ended with your account’s deactivation. {money}",
    ),
    ("expired", "not_chosen"): (
        "The request ended, since no other time was chosen. {money}",
        "The request ended, since no other time was chosen. {money}",
    ),
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
    """What the booking's end moved, as in the timeline's facts, and whether our team ended it.

    Empty while it has not ended.
    """
    due = booking.due_move(now)
    if due is not None:
        settlement = transitions.settlement_of(booking, *due)
        return asdict(settlement) if settlement else {}
    ends = [
        {**entry.facts, "by_ops": is_by_ops(entry.by, entry.via)}
        for entry in entries
        if entry.event == booking.status
    ]
    return ends[-1] if ends else {}


def timeline(
    booking: Booking, entries: Sequence[TimelineEntry], reader: Actor, reach: Reach
) -> list[TimelineItem]:
    return [
        TimelineItem(entry.at, entry.event, _sentence(booking, entry, reader, reach))
        for entry in entries
    ]


def _sentence(booking: Booking, entry: TimelineEntry, reader: Actor, reach: Reach) -> str:
    templates = _FOR_CLIENT if reader is Actor.CLIENT else _FOR_THERAPIST
    template = _TIMES[entry.event][entry.by is not reader] if _is_of_time(entry) else ""
    template = template or templates[entry.event]
    template = _WHY.get((entry.event, entry.facts.get("because", "")), (template, template))[
        reader is not Actor.CLIENT
    ]
    if entry.by is reader and is_by_ops(entry.by, entry.via):
        template = _FOR_READER.get(entry.event, template)
    if entry.by is Actor.OPS:
        template = _BY_OPS.get(entry.event, template)
    if entry.event == "reminded" and entry.at not in reach.reminded_at:
        template = "The answer was not there yet."
    sentence = template.format(
        client=booking.client_given_name,
        therapist=booking.therapist.given_name,
        money=settled(booking, entry.facts, reader),
        **_times(booking, entry, reader),
    )
    return sentence.strip()


def _is_of_time(entry: TimelineEntry) -> bool:
    is_clients = entry.event in ("accepted", "cancelled_by_therapist")
    return entry.event in _TIMES and (not is_clients or entry.by is Actor.CLIENT)


def _times(booking: Booking, entry: TimelineEntry, reader: Actor) -> dict[str, str]:
    """The other side's name and the times that an event names, in the reader's zone.

    The page names the zone with the booking's own time.
    """
    is_client, facts = reader is Actor.CLIENT, entry.facts
    zone = booking.client_timezone if is_client else booking.therapist.timezone
    other = booking.therapist.given_name if is_client else booking.client_given_name
    named = zone_name(booking.starts_at, zone)
    starts, to = (
        [date_time(datetime.fromisoformat(each), zone, named) for each in found]
        for found in (facts.get("starts", ()), [facts["to"]] if "to" in facts else ())
    )
    return {"other": other, "times": "; ".join(starts), "to": "".join(to)}


def settled(booking: Booking, facts: dict[str, Any], reader: Actor) -> str:
    """What an end did to the fee, in sentences; empty for an event that ended nothing."""
    if "charge_minor" not in facts:
        return ""
    fee, is_owed = fee_for(booking, reader), not facts["gives_back_free_consultation"]
    told, payout = fee_words.sentence(fee.outcome(is_owed=is_owed)), facts["payout_minor"]
    if not payout or reader is Actor.CLIENT:
        return told
    commission = money(facts["commission_minor"], booking.currency)
    return f"{told} You receive {money(payout, booking.currency)} after {commission} commission."


def fee_for(booking: Booking, reader: Actor) -> FeeWords:
    return session_of(booking).fee_for("client" if reader is Actor.CLIENT else "therapist")


def fee_of_offer(therapist: Therapist, kind: Kind) -> FeeWords:
    """What a session that is not requested yet would cost its client."""
    is_consultation = kind == Kind.FREE_CONSULTATION
    return FeeWords(
        minor=0 if is_consultation else therapist.rate_minor,
        currency=therapist.currency,
        payment=config.current().payment,
        is_consultation=is_consultation,
        reader="client",
        client="",
        therapist=therapist.given_name,
    )


def rule_if_kept(booking: Booking, now: datetime) -> CancellingRule:
    """The rule of a session once its therapist's question is answered with the old time."""
    kept = MoveTerms(booking.is_moved_late, booking.cancel_free_until)
    policy = config.current().policy
    return cancellation.cancelling_rule(Status.ACCEPTED, booking.starts_at, now, policy, kept)


def rule_if_taken(starts_at: datetime, now: datetime) -> CancellingRule:
    """The rule of a time that the therapist offers, once the client has taken it."""
    policy = config.current().policy
    return cancellation.cancelling_rule(Status.ACCEPTED, starts_at, now, policy)


def rule_of_offer(starts_at: datetime, now: datetime) -> CancellingRule:
    policy = config.current().policy
    return cancellation.cancelling_rule(Status.REQUESTED, starts_at, now, policy)
