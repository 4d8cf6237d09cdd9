"""The letters to therapists."""

from collections.abc import Callable
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from app import config, links
from app.links import LinkPurpose
from app.rules import money
from app.services.mail.expiry import SIGN_IN_LASTS
from app.services.mail.letters.letter import Letter, session_of
from app.store import queries
from app.store.models import Therapist
from emails import to_therapist, to_therapist_account
from emails.message import Message, Session


def _their_day(letter: Letter) -> list[Session]:
    """The therapist's accepted sessions on the day of the enquiry, in their zone."""
    booking = letter.booking
    local = booking.starts_at.astimezone(ZoneInfo(booking.therapist.timezone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    next_midnight = midnight + timedelta(days=1)
    sessions = queries.accepted_between(
        booking.therapist, midnight.astimezone(UTC), next_midnight.astimezone(UTC)
    )
    return [session_of(other) for other in sessions]


def _booking_requested(letter: Letter) -> Message:
    booking = letter.booking
    percent = config.current().policy.commission_percent
    return to_therapist.booking_requested(
        letter.envelope,
        letter.session,
        answer_by=booking.answer_by,
        expires_at=booking.expires_at,
        payout_minor=money.split_fee(booking.fee_minor, percent).payout_minor,
        commission_percent=percent,
        sequence=booking.sequence,
        links=letter.answer_links(),
        day=_their_day(letter),
    )


def _session_confirmed(letter: Letter) -> Message:
    return to_therapist.session_confirmed(
        letter.envelope,
        letter.session,
        view_url=letter.link(LinkPurpose.SESSION),
        sequence=letter.facts["sequence"],
        meeting_url=letter.booking.therapist.meeting_url,
    )


def _enquiry_declined(letter: Letter) -> Message:
    return to_therapist.enquiry_declined(
        letter.envelope,
        letter.session,
        sequence=letter.facts["sequence"],
        view_url=letter.link(LinkPurpose.SESSION),
    )


def _answer_reminder(letter: Letter) -> Message:
    return to_therapist.answer_reminder(
        letter.envelope,
        letter.session,
        answer_by=letter.booking.answer_by,
        expires_at=letter.booking.expires_at,
        links=letter.answer_links(),
    )


def _answer_late(letter: Letter) -> Message:
    return to_therapist.answer_late(
        letter.envelope,
        letter.session,
        answer_by=letter.booking.answer_by,
        expires_at=letter.booking.expires_at,
        links=letter.answer_links(),
    )


def _enquiry_expired(letter: Letter) -> Message:
    return to_therapist.enquiry_expired(
        letter.envelope,
        letter.session,
        sequence=letter.facts["sequence"],
        view_url=letter.link(LinkPurpose.SESSION),
        because=letter.facts["because"],
    )


def _booking_withdrawn(letter: Letter) -> Message:
    return to_therapist.booking_withdrawn(
        letter.envelope,
        letter.session,
        sequence=letter.facts["sequence"],
        view_url=letter.link(LinkPurpose.SESSION),
    )


def _client_cancelled(letter: Letter) -> Message:
    return to_therapist.client_cancelled(
        letter.envelope,
        letter.session,
        sequence=letter.facts["sequence"],
        payout_minor=letter.facts["payout_minor"],
        commission_minor=letter.facts["commission_minor"],
        free_cancellation=config.current().policy.free_cancellation,
        view_url=letter.link(LinkPurpose.SESSION),
    )


def _cancellation_recorded(letter: Letter) -> Message:
    policy = config.current().policy
    return to_therapist.cancellation_recorded(
        letter.envelope,
        letter.session,
        sequence=letter.facts["sequence"],
        streak=letter.facts["streak"],
        warn_streak=policy.warn_streak,
        flag_streak=policy.flag_streak,
        deactivate_streak=policy.deactivate_streak,
        view_url=letter.link(LinkPurpose.SESSION),
    )


def _session_reminder(letter: Letter) -> Message:
    return to_therapist.session_reminder(
        letter.envelope,
        letter.session,
        meeting_url=letter.booking.therapist.meeting_url,
        view_url=letter.link(LinkPurpose.SESSION),
    )


def _new_message(letter: Letter) -> Message:
    return to_therapist.new_message(
        letter.envelope, letter.session, view_url=letter.link(LinkPurpose.SESSION)
    )


def _sign_in(letter: Letter) -> Message:
    therapist_id = letter.email.therapist_id
    holder = links.holder_of(LinkPurpose.SIGN_IN, client_id=None, therapist_id=therapist_id)
    return to_therapist_account.sign_in(
        letter.envelope,
        sign_in_url=links.url(LinkPurpose.SIGN_IN, holder=holder, subject=letter.facts["key"]),
        minutes=int(SIGN_IN_LASTS / timedelta(minutes=1)),
    )


def _streak_warning(letter: Letter) -> Message:
    policy = config.current().policy
    return to_therapist_account.streak_warning(
        letter.envelope,
        streak=letter.facts["streak"],
        flag_streak=policy.flag_streak,
        deactivate_streak=policy.deactivate_streak,
        dashboard_url=_dashboard_url(),
    )


def _account_flagged(letter: Letter) -> Message:
    policy = config.current().policy
    return to_therapist_account.account_flagged(
        letter.envelope,
        streak=letter.facts["streak"],
        flag_streak=policy.flag_streak,
        deactivate_streak=policy.deactivate_streak,
        dashboard_url=_dashboard_url(),
    )


def _account_deactivated(letter: Letter) -> Message:
    return to_therapist_account.account_deactivated(
        letter.envelope,
        streak=letter.facts["streak"],
        deactivate_streak=config.current().policy.deactivate_streak,
        dashboard_url=_dashboard_url(),
        sessions=upcoming_of(letter),
        support_email=config.current().ops_email,
    )


def _account_reactivated(letter: Letter) -> Message:
    policy = config.current().policy
    return to_therapist_account.account_reactivated(
        letter.envelope,
        flag_streak=policy.flag_streak,
        deactivate_streak=policy.deactivate_streak,
        dashboard_url=_dashboard_url(),
    )


def upcoming_of(letter: Letter) -> list[Session]:
    """The accepted sessions that the letter's therapist still has ahead."""
    therapist = letter.email.therapist
    assert isinstance(therapist, Therapist)
    return [session_of(each) for each in queries.upcoming_sessions_of(therapist, letter.now)]


def _dashboard_url() -> str:
    return f"{config.current().public_url}/dashboard"


WRITERS: dict[str, Callable[[Letter], Message]] = {
    "booking_requested": _booking_requested,
    "session_confirmed": _session_confirmed,
    "enquiry_declined": _enquiry_declined,
    "answer_reminder": _answer_reminder,
    "answer_late": _answer_late,
    "enquiry_expired": _enquiry_expired,
    "booking_withdrawn": _booking_withdrawn,
    "client_cancelled": _client_cancelled,
    "cancellation_recorded": _cancellation_recorded,
    "session_reminder": _session_reminder,
    "new_message": _new_message,
    "sign_in": _sign_in,
    "streak_warning": _streak_warning,
    "account_flagged": _account_flagged,
    "account_deactivated": _account_deactivated,
    "account_reactivated": _account_reactivated,
}
