"""From an outbox row to its email: reader, session, fresh links and the values of its kind."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from app import config, links
from app.links import LinkPurpose
from app.rules import money, reminders
from app.rules.availability import Span
from app.rules.cancellation import Because
from app.rules.lifecycle import Kind
from app.rules.names import given_name
from app.services import validation
from app.services.auth import SIGN_IN_LASTS
from app.services.bookings import alternatives, confirm, propose, transitions
from app.services.bookings.session_facts import session_of
from app.services.inbound.addresses import organizer_of, reply_to
from app.services.mail.reach import reach_of
from app.store import queries, suppressions
from app.store.models import (
    AccountState,
    Booking,
    Client,
    OpsPerson,
    OutboxEmail,
    PendingRequest,
    Role,
    Therapist,
)
from app.store.queries import pending as pending_requests
from emails import message
from emails.calendar import Entry, file_of_event
from emails.kinds import KINDS
from emails.message import EmailContext, Envelope, Message, Offer, Session, UnconfirmedRequest
from emails.render import render


def compose(email: OutboxEmail, now: datetime) -> Message:
    """Render the email with what is true at `now`. Raises UnsafeValue."""
    kind, booking = KINDS[email.kind], email.booking
    organizer = organizer_of(booking, email.role) if booking and kind.calendar else None
    session = session_of(booking) if booking else None
    facts = {name: email.facts[name] for name in kind.facts if name in email.facts}
    context = EmailContext(
        envelope=_envelope(email, now),
        session=session,
        thread=_thread_of(booking, session) if booking and session else None,
        sequence=email.facts.get("sequence", booking.sequence) if booking else 0,
        organizer=organizer.sender if organizer else "",
        hears_answers=organizer is not None and organizer.hears,
        entry_url=_entry_url(booking, email.role) if booking else "",
        values=facts | {name: VALUES[name](email, now) for name in kind.values},
    )
    return render(email.kind, context)


def calendar_file(booking: Booking, now: datetime) -> bytes:
    """The client's entry of an accepted session, to download."""
    entry = Entry(
        role="client",
        session=session_of(booking),
        sequence=booking.sequence,
        stamped_at=now,
        organizer=organizer_of(booking, Role.CLIENT).sender,
        support_email=config.current().support_email,
        url=_entry_url(booking, Role.CLIENT),
        meeting_url=booking.therapist.meeting_url,
    )
    return file_of_event(entry)


def _thread_of(booking: Booking, session: Session) -> Session:
    """The session as the thread's first email named it, whatever its therapist changed since."""
    facts = queries.facts_of_request(booking)
    # Release 0.1 did not record them.
    name = facts.get("therapist_given_name", booking.therapist.given_name)
    zone = facts.get("therapist_timezone", session.therapist_zone)
    if (name, zone) == (booking.therapist.given_name, session.therapist_zone):
        return session
    return replace(session, therapist_name=name, therapist_zone=zone)


def _entry_url(booking: Booking, role: Role) -> str:
    # No signed link: others may see the calendar.
    page = "my-links" if role is Role.CLIENT else f"dashboard/sessions/{booking.reference}"
    return f"{config.current().public_url}/{page}"


def _envelope(email: OutboxEmail, now: datetime) -> Envelope:
    settings, person = config.current(), email.recipient
    assert person is not None or email.role is Role.OPS
    reader, zone = _reader(email)
    return Envelope(
        role=email.role.value,
        recipient=person.email if person else settings.ops_email,
        reader=reader,
        zone=zone,
        reference=email.booking.reference if email.booking else None,
        ordinal=email.ordinal,
        sender=settings.mail_default_sender,
        support_email=settings.support_email,
        reply_to=reply_to(email),
        crisis_note=settings.crisis_note,
        domain=settings.public_host,
        sent_at=now,
    )


def _reader(email: OutboxEmail) -> tuple[str, str]:
    """The given name of the recipient, and their time zone."""
    match email.recipient:
        case Client() as client:
            booking = email.booking or queries.newest_booking_of_client(client)
            return booking.client_given_name, booking.client_timezone
        case Therapist() as therapist:
            return therapist.given_name, therapist.timezone
        case PendingRequest() as pending:
            typed = pending.typed
            return typed["given_name"] or given_name(typed["name"]), typed["timezone"]
        case _:
            return "ops", "UTC"


def _booking(email: OutboxEmail) -> Booking:
    booking: Booking | None = email.booking
    assert booking is not None
    return booking


def _therapist(email: OutboxEmail) -> Therapist:
    therapist: Therapist | None = (email.booking or email).therapist
    assert therapist is not None
    return therapist


def _link(purpose: LinkPurpose, email: OutboxEmail, booking: Booking | None = None) -> str:
    """To `booking`, or to the one that the email is about."""
    about = booking or _booking(email)
    holder = links.holder_of(purpose, client=about.client, therapist=about.therapist)
    return links.url(
        purpose, holder=holder, subject=about.reference, epoch=about.epoch, email=email.id
    )


def _booking_url(email: OutboxEmail) -> str:
    purpose = LinkPurpose.MANAGE if email.role is Role.CLIENT else LinkPurpose.SESSION
    return _link(purpose, email)


def _sign_in_url(email: OutboxEmail) -> str:
    recipient = email.recipient
    assert isinstance(recipient, Therapist | OpsPerson)
    holder = recipient.link_holder
    return links.url(LinkPurpose.SIGN_IN, holder=holder, subject=email.facts["key"], email=email.id)


def _proposed_times(email: OutboxEmail, now: datetime) -> list[message.ProposedTime]:
    booking = _booking(email)
    found = propose.open_proposal(booking, now)
    if found is None:
        return []
    base_url = _link(_of_reader(email, LinkPurpose.TAKE, LinkPurpose.AGREE), email)
    return [
        message.ProposedTime(
            starts_at=each, url=f"{base_url}?{urlencode({'at': validation.instant_text(each)})}"
        )
        for each in found.takable
    ]


def _of_reader(email: OutboxEmail, client: LinkPurpose, therapist: LinkPurpose) -> LinkPurpose:
    return client if email.role is Role.CLIENT else therapist


def _may_suggest(email: OutboxEmail, now: datetime) -> bool:
    return propose.may_suggest(_booking(email), now)


def _expected_payout(email: OutboxEmail) -> int:
    percent = config.current().policy.commission_percent
    return money.split_fee(_booking(email).fee_minor, percent).payout_minor


def _offers(email: OutboxEmail, now: datetime) -> list[Offer]:
    booking = _booking(email)
    base_url, is_paid = _link(LinkPurpose.CHOOSE, email), booking.kind is Kind.PAID
    return [
        Offer(
            therapist_name=slot.therapist.given_name,
            starts_at=slot.starts_at,
            url=f"{base_url}?{urlencode({'therapist': slot.therapist.slug, 'at': slot.key})}",
            price_minor=slot.therapist.rate_minor if is_paid else 0,
            currency=slot.therapist.currency,
        )
        for slot in alternatives.free_therapists(booking, now)
    ]


def _times_that_day(email: OutboxEmail) -> list[Span]:
    # Of the booking and the therapist's accepted sessions of that local day.
    booking, zone = _booking(email), ZoneInfo(_therapist(email).timezone)
    spans = [*queries.accepted_nearby(booking), (booking.starts_at, booking.ends_at)]
    day = booking.starts_at.astimezone(zone).date()
    return sorted((start, end) for start, end in spans if start.astimezone(zone).date() == day)


def _sessions(email: OutboxEmail, now: datetime) -> list[Session]:
    """The booking that the email is about, otherwise the therapist's accepted ones ahead."""
    if email.booking is not None:
        return [session_of(email.booking)]
    return [session_of(each) for each in queries.upcoming_sessions_of(_therapist(email), now)]


def _live_bookings(email: OutboxEmail, now: datetime) -> list[tuple[Session, str]]:
    client: Client | None = email.client
    assert client is not None
    live = queries.live_bookings_of_client(client, now)
    return [(session_of(each), _link(LinkPurpose.MANAGE, email, each)) for each in live]


def _is_other_unreached(email: OutboxEmail, now: datetime) -> bool:
    reach = reach_of(_booking(email), now)
    return (reach.therapist if email.role is Role.CLIENT else reach.client) is not None


def _others_unreached(email: OutboxEmail) -> list[tuple[Session, str]]:
    """Further bookings of the client that ops hears of by this email, with their therapists."""
    others = queries.bookings_of_references(email.facts.get("others", []))
    return [(session_of(each), each.therapist.slug) for each in others]


def _was_asked_in_time(booking: Booking) -> bool:
    asked_at, answer_within = booking.handed_over_at, config.current().policy.answer_within
    return asked_at is not None and booking.expires_at - asked_at >= answer_within


def _requests(email: OutboxEmail, now: datetime) -> list[UnconfirmedRequest]:
    return [
        UnconfirmedRequest(
            therapist_name=pending.therapist.given_name,
            starts_at=pending.starts_at,
            ends_at=pending.ends_at,
            kind=pending.kind.value,
            price_minor=pending.therapist.rate_minor if pending.kind is Kind.PAID else 0,
            currency=pending.therapist.currency,
            expires_at=pending.expires_at,
            confirm_url=confirm.url(pending, email.id),
        )
        for pending in pending_requests.unconfirmed_of_email(email, now)
    ]


def _rule(name: str) -> Callable[[OutboxEmail, datetime], object]:
    return lambda _email, _now: getattr(config.current().policy, name)


# How each value that emails/kinds.py names is found; only those that a kind names are.
VALUES: dict[str, Callable[[OutboxEmail, datetime], Any]] = {
    "booking_url": lambda email, _: _booking_url(email),
    "accept_url": lambda email, _: _link(LinkPurpose.ACCEPT, email),
    "decline_url": lambda email, _: _link(LinkPurpose.DECLINE, email),
    "choose_url": lambda email, _: _link(LinkPurpose.CHOOSE, email),
    "suggest_url": lambda email, _: _link(LinkPurpose.SUGGEST, email),
    "may_suggest": _may_suggest,
    "keep_url": lambda email, _: _link(
        _of_reader(email, LinkPurpose.KEEP, LinkPurpose.REFUSE), email
    ),
    "can_keep": lambda email, now: now < _booking(email).starts_at,
    "proposed_times": _proposed_times,
    "proposal_until": lambda email, _: _booking(email).proposed_until,
    "old_starts_at": lambda email, _: datetime.fromisoformat(email.facts["from"]),
    "is_reminder": lambda email, _: email.facts.get("is_reminder", False),
    "has_moved": lambda email, _: email.facts.get("has_moved", False),
    "in_answer": lambda email, _: email.facts.get("in_answer", False),
    # A suggestion moves the time and accepts in one.
    "took_suggestion": lambda email, _: "from" in email.facts,
    "by_ops": lambda email, _: email.facts.get("by_ops", False),
    "by_deactivation": lambda email, _: email.facts.get("because") == "deactivated",
    # Release 0.1 recorded none.
    "cancelled_because": lambda email, _: email.facts.get("because", Because.NOTICE),
    "sign_in_url": lambda email, _: _sign_in_url(email),
    "dashboard_url": lambda *_: f"{config.current().public_url}/dashboard",
    "has_new_link": lambda email, _: email.facts.get("has_new_link", False),
    "meeting_url": lambda email, _: _booking(email).therapist.meeting_url,
    "answer_by": lambda email, _: _booking(email).answer_by,
    "expires_at": lambda email, _: _booking(email).expires_at,
    "payout_minor": lambda email, _: _expected_payout(email),
    "command": lambda *_: config.current().command,
    "therapist_slug": lambda email, _: _therapist(email).slug,
    "status": lambda email, now: str(_booking(email).status_at(now)),
    "waits_for_client": lambda email, _: _booking(email).waits_for_client,
    "other_unreached": _is_other_unreached,
    "others_unreached": lambda email, _: _others_unreached(email),
    "unreached": lambda email, now: [
        str(side.role) for side in reach_of(_booking(email), now).unreached
    ],
    "was_asked_in_time": lambda email, _: _was_asked_in_time(_booking(email)),
    "has_phone": lambda email, _: queries.has_phone(_therapist(email)),
    # As the directory decides it.
    "is_unlisted": lambda email, _: suppressions.of_address(_therapist(email).email) is not None,
    "steps_done": lambda email, _: sorted(_therapist(email).steps_done),
    "rate_minor": lambda email, _: _therapist(email).rate_minor,
    "currency": lambda email, _: _therapist(email).currency,
    "is_visible": lambda email, _: _therapist(email).state is AccountState.ACTIVE,
    "account": lambda email, _: str(_therapist(email).state),
    "sign_in_minutes": lambda *_: SIGN_IN_LASTS // timedelta(minutes=1),
    "offers": _offers,
    "sessions": _sessions,
    "times_that_day": lambda email, _: _times_that_day(email),
    "live_bookings": _live_bookings,
    "requests": _requests,
    "unconfirmed_minutes": lambda *_: config.current().unconfirmed_minutes,
    "cancelling_rule": lambda email, now: transitions.cancelling_rule_of(_booking(email), now),
    "is_first_reminder": lambda email, _: reminders.is_first(email.ordinal),
    "free_cancellation": _rule("free_cancellation"),
    "commission_percent": _rule("commission_percent"),
    "warn_streak": _rule("warn_streak"),
    "flag_streak": _rule("flag_streak"),
    "deactivate_streak": _rule("deactivate_streak"),
}
