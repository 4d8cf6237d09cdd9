"""An independent model of the rules: what bookings, money and accounts must be by the clock alone.

It imports nothing of the application. Every test that judges whole lives of bookings asks it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# The events that can follow each status; any other status is final.
MOVES = {
    "requested": {"accepted", "declined", "withdrawn", "expired"},
    "accepted": {"cancelled_by_client", "cancelled_by_therapist", "completed", "no_show"},
    "completed": {"no_show"},
}
LIVE = ("requested", "accepted")
# Events of an open enquiry that leave its status alone.
NOTICES = ("reminded", "late")

# The emails that each event causes, once: kind and recipient.
EMAILS = {
    "requested": {"booking_requested": "therapist", "booking_received": "client"},
    "reminded": {"answer_reminder": "therapist"},
    "late": {"answer_late": "therapist", "answer_late_client": "client", "answer_late_ops": "ops"},
    "accepted": {"booking_accepted": "client", "session_confirmed": "therapist"},
    "declined": {"booking_declined": "client", "enquiry_declined": "therapist"},
    "withdrawn": {"withdrawal_receipt": "client", "booking_withdrawn": "therapist"},
    "expired": {"booking_expired": "client", "enquiry_expired": "therapist"},
    "cancelled_by_client": {"cancellation_receipt": "client", "client_cancelled": "therapist"},
    "cancelled_by_therapist": {
        "therapist_cancelled": "client",
        "cancellation_recorded": "therapist",
    },
    "completed": {},
    "no_show": {"no_show_recorded": "client"},
}
# The emails that announce how far a streak has gone.
WARNED, FLAGGED, DEACTIVATED = 3, 4, 5
ANNOUNCEMENTS = {
    WARNED: {"streak_warning"},
    FLAGGED: {"account_flagged", "account_alert"},
    DEACTIVATED: {"account_deactivated", "account_alert"},
}


@dataclass
class ModelBooking:
    """One booking: client, therapist, kind, and its events with the times of their effect."""

    slug: str
    email: str
    is_free: bool
    requested_at: datetime
    starts_at: datetime
    handed_over: bool = True
    reference: str = ""
    events: list[tuple[str, datetime]] = field(default_factory=list)
    by_deactivation: bool = False

    def __post_init__(self) -> None:
        self.events = self.events or [("requested", self.requested_at)]

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]

    @property
    def status(self) -> str:
        return [name for name in self.names if name not in NOTICES][-1]

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + (30 if self.is_free else 50) * MINUTE

    @property
    def completes_at(self) -> datetime:
        return self.ends_at + 10 * MINUTE

    @property
    def expires_at(self) -> datetime:
        return min(self.requested_at + DAY, self.starts_at)

    @property
    def answered_at(self) -> datetime | None:
        return self._first("accepted", "declined")

    @property
    def ended_at(self) -> datetime | None:
        return self._first(*(set(EMAILS) - {*LIVE, *NOTICES}))

    def _first(self, *names: str) -> datetime | None:
        return next((at for name, at in self.events if name in names), None)

    @property
    def is_charged(self) -> bool:
        """Whether the client pays and the therapist earns."""
        if self.status == "cancelled_by_client":
            return self.starts_at - self.events[-1][1] <= DAY
        return self.status in ("completed", "no_show")

    @property
    def uses_free(self) -> bool:
        return self.is_free and (self.is_live or self.is_charged)

    def faults(self) -> list[str]:
        """Events that no booking can have, or not in this order."""
        found = []
        if max(Counter(self.names).values()) > 1 or self.names[0] != "requested":
            found.append(f"{self.names}")
        status = "requested"
        for number, name in enumerate(self.names[1:], start=1):
            if name in NOTICES:
                is_out_of_order = name == "reminded" and "late" in self.names[:number]
                if status != "requested" or is_out_of_order:
                    found.append(f"{name} after {self.names[:number]}")
            elif name not in MOVES.get(status, ()):
                found.append(f"{name} after {status}")
            else:
                status = name
        return found

    def allows(self, event: str, now: datetime) -> bool:
        """Whether people can make this move now."""
        if event not in MOVES.get(self.status, ()):
            return False
        if event == "no_show":
            return self.ends_at <= now <= self.completes_at + 7 * DAY
        return now < (self.expires_at if self.status == "requested" else self.starts_at)

    def ledger(self, fee: int) -> Counter[tuple[str, str, int]]:
        """Every line as (event, account, amount)."""
        lines = [("requested", "client", -fee), ("requested", "held", fee)]
        if not self.is_live:
            end = next(name for name in self.names if name not in (*LIVE, *NOTICES))
            lines.append((end, "held", -fee))
            if self.is_charged:
                commission = (fee * 10 + 50) // 100
                lines.append((end, "therapist", fee - commission))
                lines.append((end, "commission", commission))
            else:
                lines.append((end, "client", fee))
        return Counter(lines if fee else ())

    def balances(self, fee: int) -> Counter[str]:
        """The sum of each account."""
        sums = Counter[str]()
        for _, account, amount in self.ledger(fee):
            sums[account] += amount
        return sums


@dataclass
class Standing:
    """Sessions cancelled in a row, and what they have led to."""

    streak: int = 0
    is_deactivated: bool = False
    announced: int = 0

    @property
    def is_flagged(self) -> bool:
        return self.streak >= FLAGGED

    def apply(self, event: str) -> None:
        if event == "cancelled_by_therapist":
            self.streak += 1
            self.is_deactivated = self.is_deactivated or self.streak >= DEACTIVATED
        elif event == "completed":
            self.streak = 0
            # A deactivation outlasts the completion.
            self.announced = self.announced if self.is_deactivated else 0
        elif event == "reactivated":
            self.streak, self.is_deactivated, self.announced = 0, False, 0

    def announce(self) -> set[str]:
        """The emails about the furthest step that was not announced yet."""
        step = DEACTIVATED if self.is_deactivated else min(self.streak, FLAGGED)
        if step <= self.announced or step not in ANNOUNCEMENTS:
            return set()
        self.announced = step
        return ANNOUNCEMENTS[step]


def standing_after(events: Iterable[str]) -> Standing:
    standing = Standing()
    for event in events:
        standing.apply(event)
    return standing


@dataclass
class Model:
    """All bookings of some therapists, and what the clock does to them."""

    now: datetime
    bookings: list[ModelBooking] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    # Whose account the jobs have deactivated by now.
    deactivated: set[str] = field(default_factory=set)

    def standing(self, slug: str) -> Standing:
        return self.standings.setdefault(slug, Standing())

    def add(self, booking: ModelBooking, event: str, at: datetime) -> None:
        booking.events.append((event, at))
        self.standing(booking.slug).apply(event)

    def reactivate(self, slug: str) -> None:
        self.deactivated.discard(slug)
        self.standing(slug).apply("reactivated")

    def pass_to(self, now: datetime) -> None:
        """Let the clock make its moves, in the order in which they fall due."""
        self.now = now
        due = [
            (booking.expires_at, "expired", booking)
            if booking.status == "requested"
            else (booking.completes_at, "completed", booking)
            for booking in self.bookings
            if booking.is_live
        ]
        for at, event, booking in sorted(due, key=lambda each: each[0]):
            if at <= now:
                self.add(booking, event, at)

    def sweep(self) -> dict[str, set[str]]:
        """One run of every job; the announcements that it makes to each therapist."""
        for booking in self.bookings:
            self._notify(booking)
        announced = {slug: standing.announce() for slug, standing in self.standings.items()}
        self.deactivated |= {
            slug for slug, standing in self.standings.items() if standing.is_deactivated
        }
        for booking in self.bookings:
            if booking.status == "requested" and booking.slug in self.deactivated:
                booking.by_deactivation = True
                self.add(booking, "expired", self.now)
        return announced

    def _notify(self, booking: ModelBooking) -> None:
        """Remind, or say that the answer is late: only the furthest, and each once."""
        waited = self.now - booking.requested_at
        if booking.status != "requested" or "late" in booking.names:
            return
        if waited > 3 * HOUR:
            self.add(booking, "late", self.now)
        elif waited >= 2 * HOUR and "reminded" not in booking.names:
            self.add(booking, "reminded", self.now)

    def score(self, slug: str) -> float:
        """The score by the words of the contract, in floating point."""
        counted = answered = expired = against = 0
        lateness = 0.0
        for booking in self.bookings:
            if booking.slug != slug or self.now - booking.requested_at >= 90 * DAY:
                continue
            until = booking.answered_at or booking.ended_at or self.now
            delay = until - booking.requested_at if booking.handed_over else timedelta(0)
            late = min(max((delay - 3 * HOUR) / (21 * HOUR), 0.0), 1.0)
            has_expired = booking.status == "expired" and not booking.by_deactivation
            if booking.answered_at is not None:
                counted, answered = counted + 1, answered + 1
                had_email = booking.handed_over or delay_of_answer(booking) <= 5 * MINUTE
                against += booking.status == "declined" and had_email
            elif has_expired and booking.handed_over:
                counted, expired, late = counted + 1, expired + 1, 1.0
            elif not has_expired and delay > 3 * HOUR:
                counted += 1
            else:
                continue
            lateness += late
        half = 0.5 if self.standing(slug).is_flagged else 1.0
        refused = (against + expired) / (answered + expired + 4)
        return 100 * (1 - lateness / (counted + 4)) * (1 - 0.25 * refused) * half


def delay_of_answer(booking: ModelBooking) -> timedelta:
    assert booking.answered_at is not None
    return booking.answered_at - booking.requested_at
