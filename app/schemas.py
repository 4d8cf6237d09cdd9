"""JSON representations, shared by the API and the command line's `--json`.

The API's OpenAPI document is written from these models and their docstrings.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from app.rules.lifecycle import Actor, Kind, Status, Via
from app.rules.ranking_explanation import Factor
from app.services.bookings import propose
from app.services.mail.reach import Reach, reach_of
from app.store.models import Booking, LedgerLine, Therapist, TimelineEntry


class Out(BaseModel):
    """JSON that we send."""

    def plain(self) -> dict[str, Any]:
        """JSON values, instants in RFC 3339 with Z; absent fields are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def text(self) -> str:
        """JSON in ASCII."""
        return json.dumps(self.plain())


class Money(Out):
    """An amount in whole minor units of an ISO 4217 currency."""

    amount: int
    currency: str


class ProposalOut(Out):
    """Another time for a booking, offered by one side and waiting for the other."""

    by: Actor
    starts: list[datetime]
    until: datetime = Field(description="when it ends unanswered")


class BookingOut(Out):
    """A booking; instants are UTC."""

    reference: str
    status: Status
    therapist: str = Field(description="the therapist's slug")
    kind: Kind
    starts_at: datetime
    ends_at: datetime
    requested_at: datetime
    answer_by: datetime
    expires_at: datetime
    late: bool = Field(description="whether the answer, or the wait for one, went past answer_by")
    price: Money
    proposal: ProposalOut | None = Field(None, description="null if none is open")

    def plain(self) -> dict[str, Any]:
        proposal = self.proposal.plain() if self.proposal else None
        return {**super().plain(), "proposal": proposal}

    @classmethod
    def from_booking(cls, booking: Booking, now: datetime, **more: object) -> Self:
        """The booking at `now`; `more` are the fields of a subclass."""
        fields: dict[str, Any] = {
            "reference": booking.reference,
            "status": booking.status,
            "therapist": booking.therapist.slug,
            "kind": booking.kind,
            "starts_at": booking.starts_at,
            "ends_at": booking.ends_at,
            "requested_at": booking.requested_at,
            "answer_by": booking.answer_by,
            "expires_at": booking.expires_at,
            "late": booking.is_late_at(now),
            "price": Money(amount=booking.fee_minor, currency=booking.currency),
            "proposal": _proposal(booking, now),
        }
        return cls(**fields, **more)


def _proposal(booking: Booking, now: datetime) -> ProposalOut | None:
    found = propose.open_proposal(booking, now)
    return ProposalOut(by=found.by, starts=found.starts, until=found.until) if found else None


class TimelineLine(Out):
    """What happened, when, who did it and by which way in."""

    at: datetime
    event: str
    by: Actor
    via: Via

    @classmethod
    def from_entry(cls, entry: TimelineEntry, **more: object) -> Self:
        """The line; `more` are the fields of a subclass."""
        fields: dict[str, Any] = {
            "at": entry.at,
            "event": entry.event,
            "by": entry.by,
            "via": entry.via,
        }
        return cls(**fields, **more)


class OpsTimelineLine(TimelineLine):
    """With who did it, which callers of the API do not see: an API key's name, or who of ops."""

    api_key: str | None = None
    ops: str | None = None


class UnreachedOut(Out):
    """A side of the booking that our emails do not reach, and since when."""

    who: Literal["client", "therapist"]
    since: datetime

    @classmethod
    def from_reach(cls, reach: Reach) -> list[Self]:
        return [cls(who=side.role.value, since=side.since) for side in reach.unreached]


class LedgerEntry(Out):
    """What an account is owed (+) or owes (-), in minor units of the price's currency."""

    account: str
    amount: int


class BookingDetail(BookingOut):
    """A booking with its timeline, its ledger lines, and who could not be told about it."""

    unreached: list[UnreachedOut]
    timeline: Sequence[TimelineLine]
    ledger: list[LedgerEntry]

    @classmethod
    def with_history(
        cls,
        booking: Booking,
        timeline: list[TimelineEntry],
        lines: list[LedgerLine],
        now: datetime,
    ) -> Self:
        return cls.from_booking(
            booking,
            now,
            unreached=UnreachedOut.from_reach(reach_of(booking, now)),
            timeline=[cls._line(entry) for entry in timeline],
            ledger=[LedgerEntry(account=line.account, amount=line.amount_minor) for line in lines],
        )

    @classmethod
    def _line(cls, entry: TimelineEntry) -> TimelineLine:
        return TimelineLine.from_entry(entry)


class OpsBookingDetail(BookingDetail):
    """What the command line shows of a booking."""

    timeline: Sequence[OpsTimelineLine]

    @classmethod
    def _line(cls, entry: TimelineEntry) -> TimelineLine:
        facts = entry.facts
        return OpsTimelineLine.from_entry(entry, api_key=facts.get("api_key"), ops=facts.get("ops"))


class TherapistOut(Out):
    """A therapist as listed."""

    slug: str
    name: str
    score: float = Field(description="0 to 100, rounded half up to one decimal")
    rate: Money
    free_consultation: bool

    @classmethod
    def from_therapist(cls, therapist: Therapist, **more: object) -> Self:
        """The therapist; `more` are the fields of a subclass."""
        fields: dict[str, Any] = {
            "slug": therapist.slug,
            "name": therapist.name,
            "score": float(therapist.shown_score),
            "rate": Money(amount=therapist.rate_minor, currency=therapist.currency),
            "free_consultation": therapist.offers_free_consultation,
        }
        return cls(**fields, **more)


class FactorOut(Out):
    """One factor of a therapist's score."""

    name: str
    value: float = Field(description="0 to 1, rounded half up to three decimals")
    explanation: str = Field(description="what made the factor what it is, for the therapist")
    how_to_improve: str = Field(description="what the therapist can do about it")
    # Names of release 0.1, sent for one release more.
    what_moved_it: str = Field(deprecated="Use `explanation`.", description="same as explanation")
    what_would_mend_it: str = Field(
        deprecated="Use `how_to_improve`.", description="same as how_to_improve"
    )

    @classmethod
    def from_factor(cls, factor: Factor) -> Self:
        return cls(
            name=factor.name,
            value=float(factor.value),
            explanation=factor.explanation,
            how_to_improve=factor.how_to_improve,
            what_moved_it=factor.explanation,
            what_would_mend_it=factor.how_to_improve,
        )


class TherapistDetail(TherapistOut):
    """A therapist with standing and ranking."""

    account: Literal["active", "paused", "hidden", "deactivated"]
    flagged: bool
    streak: int
    ranking: list[FactorOut]

    @classmethod
    def with_factors(cls, therapist: Therapist, factors: tuple[Factor, ...]) -> Self:
        return cls.from_therapist(
            therapist,
            account=therapist.state.value,
            flagged=therapist.is_flagged,
            streak=therapist.streak,
            ranking=[FactorOut.from_factor(factor) for factor in factors],
        )


class FieldProblem(Out):
    """One bad field, by its name in the request, and what would be right."""

    field: str
    message: str


class Problem(Out):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None
    booking: BookingDetail | None = None

    def plain(self) -> dict[str, Any]:
        booking = {"booking": self.booking.plain()} if self.booking else {}
        return {**super().plain(), **booking}
