"""Which times therapists have open."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app import config
from app.rules import availability
from app.rules.availability import Span
from app.rules.lifecycle import Kind
from app.rules.policy import Policy
from app.rules.weekly_hours import Window
from app.services import validation
from app.store import queries
from app.store.models import Booking, Therapist
from app.store.queries import directory


@dataclass(frozen=True, slots=True)
class OpenSlot:
    therapist: Therapist
    starts_at: datetime

    @property
    def key(self) -> str:
        """The start as links, forms and the API carry it."""
        return validation.instant_text(self.starts_at)


class OpenTimes:
    """Everything within `span` is read at once: as many queries for many therapists as for one."""

    def __init__(
        self,
        therapists: Sequence[Therapist],
        kind: Kind,
        span: Span,
        now: datetime,
        windows: dict[int, list[Window]] | None = None,
    ) -> None:
        """`windows` by therapist id, where they were read before."""
        ids = [therapist.id for therapist in therapists]
        # A session that started before the span may still run, and one that starts at its end must
        # not run into the next.
        busy_span = span[0] - queries.LONGEST_SESSION, span[1] + queries.LONGEST_SESSION
        self._windows = directory.windows(ids) if windows is None else windows
        self._busy = directory.busy_spans(ids, *busy_span, now)
        self._policy = config.current().policy
        self._length_minutes = length_minutes(kind, self._policy)
        self._now = now

    def __call__(
        self, therapist: Therapist, part: Span, limit: int | None = None
    ) -> list[datetime]:
        return availability.open_times(
            self._windows[therapist.id],
            ZoneInfo(therapist.timezone),
            self._busy[therapist.id],
            length_minutes=self._length_minutes,
            from_at=part[0],
            until_at=part[1],
            now=self._now,
            policy=self._policy,
            limit=limit,
        )


def open_times(
    therapist: Therapist, kind: Kind, *, from_at: datetime, until_at: datetime, now: datetime
) -> list[datetime]:
    """Every start in [from_at, until_at) that can be requested; [] if none may be."""
    if not therapist.takes_bookings:
        return []
    if kind is Kind.FREE_CONSULTATION and not therapist.offers_free_consultation:
        return []
    span = from_at, until_at
    return OpenTimes([therapist], kind, span, now)(therapist, span)


def policy_of_offers() -> Policy:
    """The rules with the longer notice of times that one side proposes to the other."""
    policy = config.current().policy
    return replace(policy, min_notice=policy.proposal_notice)


def open_for_move(
    booking: Booking, *, from_at: datetime, until_at: datetime, now: datetime
) -> list[datetime]:
    """Every other start in [from_at, until_at) to which a booking can be moved."""
    therapist, around = booking.therapist, queries.LONGEST_SESSION
    busy = directory.busy_spans(
        [therapist.id], from_at - around, until_at + around, now, except_booking=booking.id
    )
    starts = availability.open_times(
        windows_of(therapist),
        ZoneInfo(therapist.timezone),
        busy[therapist.id],
        length_minutes=(booking.ends_at - booking.starts_at) // timedelta(minutes=1),
        from_at=from_at,
        until_at=until_at,
        now=now,
        policy=policy_of_offers(),
    )
    return [each for each in starts if each != booking.starts_at]


def is_open(therapist: Therapist, kind: Kind, starts_at: datetime, now: datetime) -> bool:
    until_at = starts_at + timedelta(microseconds=1)
    return bool(open_times(therapist, kind, from_at=starts_at, until_at=until_at, now=now))


def length_minutes(kind: Kind, policy: Policy) -> int:
    return policy.session_minutes if kind is Kind.PAID else policy.consultation_minutes


def windows_of(therapist: Therapist) -> list[Window]:
    return directory.windows([therapist.id])[therapist.id]
