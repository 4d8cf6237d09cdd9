"""A small model of the rules, in memory: what should be so, by the clock alone."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FIVE_MINUTES = timedelta(minutes=5)
ZERO = timedelta(0)
FEES = {"asha": 6005, "bran": 8000}
REFUNDED = {"declined", "withdrawn", "expired", "cancelled_by_therapist"}


@dataclass
class Told:
    """One booking as the model has it."""

    reference: str
    slug: str
    email: str
    is_free: bool
    asked_at: datetime
    starts_at: datetime
    handed_over: bool
    status: str = "requested"
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    refunded: bool = False
    by_deactivation: bool = False

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=30 if self.is_free else 50)

    @property
    def expires_at(self) -> datetime:
        return min(self.asked_at + DAY, self.starts_at)

    @property
    def is_live(self) -> bool:
        return self.status in ("requested", "accepted")

    @property
    def uses_free(self) -> bool:
        return self.is_free and not self.refunded


@dataclass
class Model:
    """What should be so, by the clock alone."""

    now: datetime
    told: list[Told] = field(default_factory=list)
    history: list[tuple[datetime, int, str, str]] = field(default_factory=list)
    deactivated: set[str] = field(default_factory=set)

    def remember(self, at: datetime, slug: str, what: str) -> None:
        self.history.append((at, len(self.history), slug, what))

    def streak(self, slug: str) -> tuple[int, bool]:
        """The streak, and whether it has reached five since the account was last given back."""
        streak, reached = 0, False
        for _, _, whose, what in sorted(self.history):
            if whose == slug:
                streak = streak + 1 if what == "cancelled" else 0
                reached = what != "reactivated" and (reached or streak >= 5)
        return streak, reached

    def pass_to(self, now: datetime) -> None:
        self.now = now
        for told in self.told:
            if told.status == "requested" and now >= told.expires_at:
                self.end(told, "expired", told.expires_at)
            done_at = told.ends_at + timedelta(minutes=10)
            if told.status == "accepted" and now >= done_at:
                self.end(told, "completed", done_at)
                self.remember(done_at, told.slug, "completed")

    def end(self, told: Told, status: str, at: datetime) -> None:
        if told.ended_at is None:
            told.ended_at = at
        told.status = status
        told.refunded = status in REFUNDED or (
            status == "cancelled_by_client" and told.starts_at - at > DAY
        )

    def sweep(self) -> None:
        for slug in FEES:
            if self.streak(slug)[1]:
                self.deactivated.add(slug)
        for told in self.told:
            if told.status == "requested" and told.slug in self.deactivated:
                told.by_deactivation = True
                self.end(told, "expired", self.now)

    def score(self, slug: str) -> float:
        """The score by the words of the contract, in floating point."""
        counted = answered = expired = against = 0
        lateness = 0.0
        for told in self.told:
            if told.slug != slug or self.now - told.asked_at >= 90 * DAY:
                continue
            until = told.answered_at or told.ended_at or self.now
            delay = until - told.asked_at if told.handed_over else ZERO
            late = min(max((delay - 3 * HOUR) / (21 * HOUR), 0.0), 1.0)
            has_expired = told.status == "expired" and not told.by_deactivation
            if told.answered_at is not None:
                counted, answered = counted + 1, answered + 1
                had_email = told.handed_over or told.answered_at - told.asked_at <= FIVE_MINUTES
                against += told.status == "declined" and had_email
            elif has_expired and told.handed_over:
                counted, expired, late = counted + 1, expired + 1, 1.0
            elif not has_expired and delay > 3 * HOUR:
                counted += 1
            else:
                continue
            lateness += late
        half = 0.5 if self.streak(slug)[0] >= 4 else 1.0
        refused = (against + expired) / (answered + expired + 4)
        return 100 * (1 - lateness / (counted + 4)) * (1 - 0.25 * refused) * half
