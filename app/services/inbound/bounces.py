"""Emails of ours that did not arrive, and complaints: hints, which their recipient could forge."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.mail_addresses import AddressKind
from app.mail_reading.facts import DeliveryReport, InboundFacts
from app.mailer import masked
from app.mailer.replies import AddressFault, Fate, read_refusal
from app.rules.inbound import BOUNCES_COUNT_FOR
from app.services.inbound import addresses
from app.services.inbound.booking_of import About
from app.services.mail import masking, undelivered
from app.services.therapists import ranking
from app.store import attempts, outbox, suppressions
from app.store.db.database import on_commit
from app.store.models import (
    Booking,
    Client,
    Complaint,
    InboundMessage,
    OutboxEmail,
    OutboxStatus,
    Outcome,
    Role,
    Therapist,
    email_key,
)
from app.store.queries import inbound as stored

ALERTS_EVERY = timedelta(hours=1)
# No such domain, and a refusal without a reason: words, not proof.
_ADDRESS = re.compile(r"<?[^\s<>,;:]+@[^\s<>,;]+>?")
_AS_WORDS = re.compile(r"5\.(?:4\.4|0\.0)\b")

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class _Verdict:
    """`fault` as for a refusal; `is_about_us`: reputation or policy, no fault of the address."""

    fault: AddressFault | None
    is_about_us: bool = False


def handle(
    message: InboundMessage, facts: InboundFacts, _about: About | None, now: datetime
) -> str:
    email = message.email
    if email is None or facts.is_ours:
        return "loop"
    message.booking = email.booking
    if facts.is_complaint:
        return _complained(email, now)
    report = _report_about(email, facts)
    why_ignored = _why_ignored(email, report, now)
    if report is None or why_ignored:
        return why_ignored or "no_report"
    return _bounced(email, report, now)


def _why_ignored(email: OutboxEmail, report: DeliveryReport | None, now: datetime) -> str | None:
    recipient = email.recipient
    is_erased = isinstance(recipient, Client | Therapist) and recipient.is_erased
    cases = (
        (is_erased, "erased"),
        (report is None, "no_report"),
        (report is not None and not report.is_final, "delayed"),
        (now - (email.settled_at or email.created_at) > BOUNCES_COUNT_FOR, "late_bounce"),
        (email.status is not OutboxStatus.SENT, "repeated"),
    )
    return next((why for holds, why in cases if holds), None)


def _report_about(email: OutboxEmail, facts: InboundFacts) -> DeliveryReport | None:
    """The one about its recipient; a forwarded email is reported under another address."""
    recipient = email.recipient
    own = email_key(recipient.email) if recipient else ""
    about_them = [each for each in facts.reports if each.recipient_key == own]
    final = [each for each in facts.reports if each.is_final]
    return next(iter(about_them or final or facts.reports), None)


def _bounced(email: OutboxEmail, report: DeliveryReport, now: datetime) -> str:
    verdict, reason = _verdict(email, report, now), _reason(email, report)
    outbox.mark_bounced(email, reason, now)
    attempts.add(email, Outcome.BOUNCED, now, reason)
    undelivered.follow_up(email, reason, now, fault=verdict.fault)
    if email.booking is not None and undelivered.asks_for_an_answer(email):
        _take_back_hand_over(email.booking, email, now)
    number, kind = email.id, email.kind
    on_commit(lambda: _log.warning("email_bounced", email=number, kind=kind, why=reason))
    if verdict.is_about_us:
        _alert_ops("refused", email, now)
        return "bounced_by_policy"
    return "bounced"


def _verdict(email: OutboxEmail, report: DeliveryReport, now: datetime) -> _Verdict:
    # The refusing server's own status before the one of the report.
    said = f"{report.text} {report.status}".strip()
    is_expired = report.status.startswith("4")
    reading = read_refusal(450 if is_expired else 550, said)
    if reading.pauses_domain:
        return _Verdict(None, is_about_us=True)
    if reading.fate is Fate.RETRY:
        # Its mail server gave up, or the mailbox is full.
        return _Verdict(AddressFault.MISSED)
    fault = reading.address
    if fault is AddressFault.MISSED and _AS_WORDS.search(said):
        fault = AddressFault.DOUBTED
    if fault is AddressFault.DOUBTED and stored.has_bounced_since(email, now - suppressions.LASTS):
        # A server that takes an email before it refuses it ends the suppression in between.
        fault = AddressFault.DEAD
    return _Verdict(fault)


def _reason(email: OutboxEmail, report: DeliveryReport) -> str:
    """One line that is safe to log."""
    # An email that was forwarded is refused for an address that we do not know.
    said = _ADDRESS.sub("***", masked(report.text, masking.words_of_email(email)))
    whole = said if report.status in said else f"{report.status} {said}"
    words = " ".join(each for each in whole.split() if each.isprintable())
    return f"bounced: {words or 'no reason given'}"[:300]


def _take_back_hand_over(booking: Booking, email: OutboxEmail, now: datetime) -> None:
    if stored.was_opened(email):
        return
    Booking.update(handed_over_at=None).where(Booking.id == booking.id).execute()
    ranking.schedule_refresh(booking.therapist_id, now)


def handle_complaint(
    message: InboundMessage, facts: InboundFacts, _about: About | None, now: datetime
) -> str:
    """From a feedback loop; only the envelope sender inside, which is ours, says whose it is."""
    if not facts.is_complaint:
        return "no_complaint"
    for address in facts.complained:
        owner = addresses.owner_of(address)
        if owner and owner.kind is AddressKind.BOUNCE and owner.email:
            message.booking = owner.email.booking
            return _complained(owner.email, now)
    return "unknown_email"


def _complained(email: OutboxEmail, now: datetime) -> str:
    recipient = email.recipient
    if not isinstance(recipient, Client | Therapist):
        return "complaint_of_none"
    key = email_key(recipient.email)
    Complaint.insert(address_key=key, at=now).on_conflict_ignore().execute()
    number, role = email.id, str(email.role)
    on_commit(lambda: _log.warning("complaint", email=number, to=role))
    _alert_ops("complaint", email, now)
    return "complaint"


def _alert_ops(what: str, email: OutboxEmail, now: datetime) -> None:
    # One an hour for each recipient domain, or for each person who complained.
    subject = email.domain if what == "refused" else f"{email.role}-{email.about}"
    about = f"{what}-{subject}"[:80]
    last = stored.newest_of_kind("mail_alert", about, Role.OPS)
    if last is not None and now - last < ALERTS_EVERY:
        return
    outbox.enqueue(
        "mail_alert",
        Role.OPS,
        about=about,
        ordinal=outbox.random_ordinal(),
        facts={"what": what, "email": email.id, "mail_domain": email.domain},
        now=now,
    )
