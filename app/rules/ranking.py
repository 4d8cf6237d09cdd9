"""The ranking: a score from enquiries and standing, in exact arithmetic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256
from statistics import median

from app.rules.policy import Policy

# Perfect answers that every therapist starts with, so that one late answer does not ruin a score.
BENEFIT_OF_THE_DOUBT = 4
DECLINE_WEIGHT = Fraction(1, 4)
# The factor of a flagged therapist's score.
FLAGGED = Fraction(1, 2)
# A prime: multiplying seeds by a number below it keeps different seeds different.
TIE_PRIME = 2**31 - 1
# While an open enquiry is late, the score falls all the time; it is computed this often.
REFRESH_EVERY = timedelta(minutes=5)
_TICK = timedelta(microseconds=1)


class EnquiryOutcome(StrEnum):
    """How an enquiry ended; an accepted one stays accepted if it is cancelled later."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    ENDED_BY_DEACTIVATION = "ended_by_deactivation"
    # The therapist suggested other times, and the client chose none.
    NOT_CHOSEN = "not_chosen"


@dataclass(frozen=True, slots=True)
class Enquiry:
    requested_at: datetime
    expires_at: datetime
    # When a mail server took the therapist's request email, None if it has not.
    handed_over_at: datetime | None
    outcome: EnquiryOutcome
    # None while open.
    ended_at: datetime | None = None
    # Whether, when the enquiry ended, a mail server should long have taken the request email.
    is_email_overdue: bool = False
    # When the client kept or moved the time, which asks the therapist again; None if never.
    asked_at: datetime | None = None
    # When the therapist suggested other times; None if never.
    suggested_at: datetime | None = None
    # How long the client had waited before the last asking.
    earlier_delay: timedelta = timedelta(0)
    # False for a request from the public form whose client never came back: it may be a stranger's.
    expiry_counts: bool = True

    @property
    def waits_for_client(self) -> bool:
        return self.suggested_at is not None and (
            self.asked_at is None or self.asked_at < self.suggested_at
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """A score from 0 to 100, its three factors from 0 to 1, and the counts behind them."""

    score: Fraction
    responsiveness: Fraction
    acceptance: Fraction
    standing: Fraction
    counted: int
    # Of the counted enquiries, those that waited too long.
    late: int
    # The sum of the lateness of the counted enquiries, each from 0 to 1.
    lateness: Fraction
    answered: int
    # Without declines for which our own delay left no fair time; those are in `answered`.
    declined: int
    expired: int
    median_answer_seconds: float

    @property
    def is_flagged(self) -> bool:
        return self.standing != 1


def lateness(enquiry: Enquiry, now: datetime, policy: Policy) -> Fraction:
    """How late a counted enquiry is: 0 if on time, 1 if it expired or took until expiry."""
    return _lateness(_as_of(enquiry, now, policy), now, policy)


def is_counted(enquiry: Enquiry, now: datetime, policy: Policy) -> bool:
    return _is_counted(_as_of(enquiry, now, policy), now, policy)


def is_recent(enquiry: Enquiry, now: datetime, policy: Policy) -> bool:
    return now - enquiry.requested_at < policy.ranking_window


def score(
    enquiries: Iterable[Enquiry], *, is_flagged: bool, now: datetime, policy: Policy
) -> Ranking:
    """The unrounded score of one therapist at `now`; enquiries that are too old are ignored."""
    recent = [_as_of(each, now, policy) for each in enquiries if is_recent(each, now, policy)]
    counted = [each for each in recent if _is_counted(each, now, policy)]
    delays = [_lateness(each, now, policy) for each in counted]
    total = sum(delays, start=Fraction(0))
    answers = [
        each
        for each in counted
        if each.outcome in (EnquiryOutcome.ACCEPTED, EnquiryOutcome.DECLINED)
    ]
    declined = sum(
        each.outcome is EnquiryOutcome.DECLINED and _had_fair_time(each, policy) for each in answers
    )
    expired = sum(each.outcome is EnquiryOutcome.EXPIRED for each in counted)

    responsiveness = 1 - total / (len(counted) + BENEFIT_OF_THE_DOUBT)
    refused = Fraction(declined + expired, len(answers) + expired + BENEFIT_OF_THE_DOUBT)
    acceptance = 1 - DECLINE_WEIGHT * refused
    standing = FLAGGED if is_flagged else Fraction(1)
    return Ranking(
        score=100 * responsiveness * acceptance * standing,
        responsiveness=responsiveness,
        acceptance=acceptance,
        standing=standing,
        counted=len(counted),
        late=sum(each > 0 for each in delays),
        lateness=total,
        answered=len(answers),
        declined=declined,
        expired=expired,
        median_answer_seconds=_median_seconds(answers, expired, now, policy),
    )


def rounded(score: Fraction) -> Decimal:
    # Half up, to one decimal.
    tenths = (score * 20 + 1) // 2
    return Decimal(tenths).scaleb(-1)


def daily_multiplier(on: date) -> int:
    digest = sha256(on.isoformat().encode()).digest()
    return int.from_bytes(digest[:8], "big") % (TIE_PRIME - 1) + 1


def tie_break(seed: int, on: date) -> int:
    """`seed` is the therapist's own random number below TIE_PRIME."""
    # A different order every day, so that equal scores take turns.
    # A hash that a database can compute while it reads: no row is rewritten at midnight.
    return seed * daily_multiplier(on) % TIE_PRIME


def changes_next_at(enquiries: Sequence[Enquiry], now: datetime, policy: Policy) -> datetime | None:
    """The next instant at which time alone may change the score, or None."""
    due = []
    for enquiry in (each for each in enquiries if is_recent(each, now, policy)):
        due.append(enquiry.requested_at + policy.ranking_window)
        if (
            _as_of(enquiry, now, policy).outcome is EnquiryOutcome.OPEN
            and enquiry.handed_over_at is not None
            and not enquiry.waits_for_client
        ):
            late_from = _clock_started_at(enquiry) + policy.answer_within + _TICK
            refresh_at = late_from if now < late_from else now + REFRESH_EVERY
            due.append(min(refresh_at, enquiry.expires_at))
    return min(due, default=None)


def _as_of(enquiry: Enquiry, now: datetime, policy: Policy) -> Enquiry:
    # The clock ends an enquiry, whether or not a job has stored it.
    if enquiry.outcome is EnquiryOutcome.OPEN and now >= enquiry.expires_at:
        enquiry = replace(enquiry, outcome=EnquiryOutcome.EXPIRED, ended_at=enquiry.expires_at)
    if enquiry.outcome is EnquiryOutcome.EXPIRED and _is_expiry_left_out(enquiry, policy):
        return replace(enquiry, outcome=EnquiryOutcome.NOT_CHOSEN)
    return enquiry


def _is_expiry_left_out(enquiry: Enquiry, policy: Policy) -> bool:
    if enquiry.waits_for_client:
        return True
    # Asked again at the last moment: what counts is how long the client had waited before.
    return enquiry.asked_at is not None and not _had_fair_time(enquiry, policy)


def _clock_started_at(enquiry: Enquiry) -> datetime:
    asked_at = enquiry.asked_at or enquiry.requested_at
    return max(asked_at, enquiry.handed_over_at or asked_at)


def delay(enquiry: Enquiry, now: datetime) -> timedelta:
    """How long the client has waited for the therapist; the longest time of several askings."""
    if enquiry.handed_over_at is None:
        return enquiry.earlier_delay
    # A suggestion is an answer; what the client then does is the client's time.
    until = enquiry.suggested_at if enquiry.waits_for_client else enquiry.ended_at
    return max((until or now) - _clock_started_at(enquiry), enquiry.earlier_delay)


def _lateness(enquiry: Enquiry, now: datetime, policy: Policy) -> Fraction:
    if enquiry.outcome is EnquiryOutcome.EXPIRED:
        return Fraction(1)
    late = (delay(enquiry, now) - policy.answer_within) // _TICK
    span = (policy.expire_after - policy.answer_within) // _TICK
    return Fraction(min(max(late, 0), span), span)


def _is_counted(enquiry: Enquiry, now: datetime, policy: Policy) -> bool:
    match enquiry.outcome:
        case EnquiryOutcome.ACCEPTED | EnquiryOutcome.DECLINED:
            return True
        case EnquiryOutcome.EXPIRED:
            is_told = enquiry.handed_over_at is not None
            return enquiry.expiry_counts and is_told and _had_fair_time(enquiry, policy)
        case _:
            return enquiry.suggested_at is not None or delay(enquiry, now) > policy.answer_within


def _had_fair_time(enquiry: Enquiry, policy: Policy) -> bool:
    # Applied to declines too: otherwise letting an enquiry expire that arrived at the last moment
    # would score higher than answering it.
    if enquiry.handed_over_at is None:
        return not enquiry.is_email_overdue
    return enquiry.expires_at - enquiry.handed_over_at >= policy.answer_within


def _median_seconds(
    answers: Sequence[Enquiry], expired: int, now: datetime, policy: Policy
) -> float:
    times = [delay(each, now) // _TICK for each in answers]
    times += [policy.expire_after // _TICK] * expired
    return median(times) / 1_000_000 if times else policy.answer_within.total_seconds()
