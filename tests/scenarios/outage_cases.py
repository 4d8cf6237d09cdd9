"""What an outage of the schedulers leaves behind, and what the catch-up must do with it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.harness.deferring_smtp import DEFERRED, LET_IN_LATER


@dataclass(frozen=True)
class When:
    """A moment, in hours after the schedulers went down, or after they came back up."""

    is_up: bool
    hours: float

    def at(self, down_at: datetime, up_at: datetime) -> datetime:
        return (up_at if self.is_up else down_at) + timedelta(hours=self.hours)


def down(hours: float) -> When:
    return When(False, hours)


def up(hours: float) -> When:
    return When(True, hours)


@dataclass(frozen=True)
class BookingCase:
    """One booking: what people did, and what the catch-up must do.

    `timeline` holds the events that the catch-up adds; `sent`, `skipped` and `failed` hold the
    kinds of email that end so during the catch-up. All are separated by spaces.
    """

    name: str
    asked: When
    becomes: str
    timeline: str = ""
    sent: str = ""
    skipped: str = ""
    failed: str = ""
    money: str = ""
    starts: When | None = None
    therapist: str = "asha"
    is_free: bool = False
    client: str = ""
    actions: dict[str, When] = field(default_factory=dict)
    is_claimed_by_killed: bool = False


def enquiry(name: str, asked: When, becomes: str, **more: object) -> BookingCase:
    return BookingCase(name, asked, becomes, **more)  # type: ignore[arg-type]


def session(
    name: str, starts: When, becomes: str, *, asked: float = -8, accepted: float = -7,
    therapist: str = "bran", actions: dict[str, When] | None = None, **more: object,
) -> BookingCase:  # fmt: skip
    """A session requested and accepted so many hours after the schedulers went down."""
    done = {"accept": down(accepted), **(actions or {})}
    return BookingCase(
        name, down(asked), becomes, starts=starts, therapist=therapist, actions=done,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def cancelled(therapist: str, *hours: float) -> list[BookingCase]:
    """Sessions that the therapist cancelled so many hours after the schedulers went down."""
    return [
        session(
            f"cancelled by {therapist} {number}", up(200 + number), "cancelled_by_therapist",
            therapist=therapist, actions={"therapist": down(hour)},
            sent="cancellation_recorded therapist_cancelled" if hour >= 0 else "",
        )
        for number, hour in enumerate(hours)
    ]  # fmt: skip


ASKED = "booking_received booking_requested"
ACCEPTED = "booking_accepted session_confirmed"
EXPIRED = "booking_expired enquiry_expired"
REMINDED = "session_reminder session_reminder"

# A request also makes the steps that are due for its therapist, so new ones have their own.
NEW_ENQUIRIES = [
    enquiry("young", up(-1), "requested", therapist="newcomer", sent=ASKED),
    enquiry("past its reminder", up(-2.5), "requested", therapist="newcomer", timeline="reminded",
            sent=f"answer_reminder {ASKED}"),
    enquiry("late", up(-5), "requested", therapist="newcomer", timeline="late",
            sent=f"answer_late answer_late_client answer_late_ops {ASKED}"),
    enquiry("its time has come unanswered", up(-8), "expired", therapist="newcomer",
            starts=up(-0.5), timeline="expired", sent=EXPIRED, skipped=ASKED),
]  # fmt: skip

ENQUIRIES = [
    enquiry("asked before", down(-1), "expired", timeline="expired", sent=EXPIRED),
    enquiry("reminded before", down(-2.5), "expired", timeline="expired", sent=EXPIRED),
    enquiry("told late before", down(-5), "expired", timeline="expired", sent=EXPIRED),
    enquiry("asked as they went down", down(0), "expired", timeline="expired", sent=EXPIRED,
            skipped=ASKED),
    enquiry("accepted late, unchased", down(-1), "accepted", actions={"accept": down(5)},
            sent=ACCEPTED),
    enquiry("declined in the outage", down(-1), "declined", actions={"decline": down(2)},
            sent="booking_declined enquiry_declined"),
    enquiry("asked and declined in the outage", down(1), "declined", actions={"decline": down(2)},
            sent="booking_declined enquiry_declined", skipped=ASKED),
    enquiry("withdrawn in the outage", down(1), "withdrawn", actions={"withdraw": down(2)},
            sent="booking_withdrawn withdrawal_receipt", skipped=ASKED),
    enquiry("a worker died with its emails", down(-2), "accepted", actions={"accept": down(0)},
            sent=ACCEPTED, is_claimed_by_killed=True),
    enquiry("its client's server defers to this day", down(-1.5), "declined", client=DEFERRED,
            actions={"decline": down(-1)}, failed="booking_declined"),
    enquiry("its client's server takes it at last", down(-1.5), "declined", client=LET_IN_LATER,
            actions={"decline": down(-1)}, sent="booking_declined"),
]  # fmt: skip

SESSIONS = [
    session("over", up(-3), "completed", timeline="completed"),
    session("a free one over", up(-6), "completed", timeline="completed", is_free=True),
    session("asked, accepted and held in the outage", down(8), "completed", asked=1, accepted=2,
            timeline="completed", skipped=f"{ACCEPTED} {ASKED}"),
    session("under way", up(-0.5), "accepted"),
    session("within the hour", up(0.5), "accepted", sent=REMINDED),
    session("tomorrow", up(20), "accepted", sent=REMINDED),
    session("next week", up(150), "accepted"),
    session("cancelled at short notice", up(3), "cancelled_by_client", money="earned",
            actions={"client": up(-4)}, sent="cancellation_receipt client_cancelled"),
    session("cancelled in time", up(60), "cancelled_by_client", money="back",
            actions={"client": up(-4)}, sent="cancellation_receipt client_cancelled"),
    session("missed before", down(-3), "no_show", actions={"no_show": down(3)},
            sent="no_show_recorded"),
    session("missed in the outage", down(2), "no_show", actions={"no_show": down(2.9)},
            sent="no_show_recorded"),
]  # fmt: skip


@dataclass(frozen=True)
class TherapistCase:
    """A therapist, their sessions, and their standing after the catch-up."""

    slug: str
    cases: list[BookingCase]
    streak: int
    account: str = "active"
    is_flagged: bool = False
    sent: str = ""


def _ends_with_the_account(slug: str) -> BookingCase:
    return enquiry(f"{slug}'s, open", up(-1.5), "expired", therapist=slug, timeline="expired",
                   sent=EXPIRED, skipped=ASKED)  # fmt: skip


def _over(slug: str, hours: float) -> BookingCase:
    return session(f"{slug}'s, over", up(hours), "completed", therapist=slug, timeline="completed")


OFF = "account_alert account_deactivated"
QUIET = TherapistCase("quiet", [_over("quiet", -hours) for hours in range(2, 16)], 0)
"""Causes no email to a therapist, so there can be many copies."""

THERAPIST_CASES = [
    TherapistCase("asha", ENQUIRIES, 0),
    TherapistCase("newcomer", NEW_ENQUIRIES, 0),
    TherapistCase("bran", SESSIONS, 0),
    QUIET,
    TherapistCase("third", cancelled("third", -6, -5, 3), 3, sent="streak_warning"),
    TherapistCase("fourth", cancelled("fourth", -6, -5, -4, 3), 4, is_flagged=True,
             sent="account_alert account_flagged"),
    TherapistCase("fifth", [*cancelled("fifth", -6, -5, 1, 2, 3), _ends_with_the_account("fifth"),
                       session("kept", up(100), "accepted", therapist="fifth")],
             5, "deactivated", is_flagged=True, sent=OFF),
    TherapistCase("recovered", [*cancelled("recovered", -6, -5, -4, -3),
                                _over("recovered", -5)], 0),
    TherapistCase("recovered at once", [*cancelled("recovered at once", 1, 2, 3, 4),
                                _over("recovered at once", -2)], 0),
    TherapistCase("recovered too late", [*cancelled("recovered too late", 1, 2, 3, 4, 5),
                                  _over("recovered too late", -2),
                                  _ends_with_the_account("recovered too late")],
             0, "deactivated", sent=OFF),
]  # fmt: skip

BOOKING_CASES = [case for each in THERAPIST_CASES for case in each.cases]
