"""A therapist's open times, and whose times are open at a given hour."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app import config
from app.rules import availability
from app.rules.availability import Span
from app.rules.lifecycle import Kind
from app.rules.policy import Policy
from app.rules.weekly_hours import Window
from app.store import queries
from app.store.models import Therapist
from app.store.queries import directory


@dataclass(frozen=True, slots=True)
class OpenSlot:
    """A start that a therapist has open."""

    therapist: Therapist
    starts_at: datetime

    @property
    def key(self) -> str:
        """The start as links and forms carry it: RFC 3339, UTC."""
        return self.starts_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def length_minutes(kind: Kind, policy: Policy) -> int:
    """How long a session of that kind lasts."""
    return policy.session_minutes if kind is Kind.PAID else policy.consultation_minutes


def windows_of(therapist: Therapist) -> list[Window]:
    """The therapist's weekly availability."""
    return [Window(row.weekday, row.start_minute, row.end_minute) for row in therapist.windows]


def open_times(
    therapist: Therapist, kind: Kind, *, from_at: datetime, until_at: datetime, now: datetime
) -> list[datetime]:
    """Every start in [from_at, until_at) that can be asked for now; none if none may be."""
    if not therapist.takes_bookings:
        return []
    if kind is Kind.FREE_CONSULTATION and not therapist.offers_free_consultation:
        return []
    policy = config.current().policy
    # A session that started up to a day earlier may still be under way.
    busy_from = from_at - timedelta(days=1)
    return availability.open_times(
        windows_of(therapist),
        ZoneInfo(therapist.timezone),
        queries.held_spans(therapist, busy_from, until_at + timedelta(days=1), now)
        + queries.time_off_spans(therapist, busy_from, until_at + timedelta(days=1)),
        length_minutes=length_minutes(kind, policy),
        from_at=from_at,
        until_at=until_at,
        now=now,
        policy=policy,
    )


def open_times_of_each(
    therapists: Sequence[Therapist], kind: Kind, span: Span, now: datetime
) -> Callable[[Therapist, Span], list[datetime]]:
    """What tells the open times of each of some listed therapists in any part of `span`.

    All is read at once, in as many queries for many as for one.
    """
    policy = config.current().policy
    ids = [therapist.id for therapist in therapists]
    windows = directory.windows(ids)
    day = timedelta(days=1)
    busy = directory.busy_spans(ids, span[0] - day, span[1] + day, now)

    def open_times_within(therapist: Therapist, part: Span) -> list[datetime]:
        return availability.open_times(
            windows[therapist.id],
            ZoneInfo(therapist.timezone),
            busy[therapist.id],
            length_minutes=length_minutes(kind, policy),
            from_at=part[0],
            until_at=part[1],
            now=now,
            policy=policy,
        )

    return open_times_within


def free_at(
    therapists: Iterable[Therapist], kind: Kind, starts_at: datetime, now: datetime
) -> list[OpenSlot]:
    """Those of `therapists` who have exactly that start open, in the order given."""
    until_at = starts_at + timedelta(microseconds=1)
    return [
        OpenSlot(therapist, starts_at)
        for therapist in therapists
        if open_times(therapist, kind, from_at=starts_at, until_at=until_at, now=now)
    ]
