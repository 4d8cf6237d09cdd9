"""What people did before and during an outage of the schedulers; `booking_model` says the rest."""

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
    """One booking and what people did with it.

    The emails that its events since the outage began cause are sent, except those in `skipped` and
    `failed`; `sent` holds others. All hold kinds of email, separated by spaces.
    """

    name: str
    asked: When
    starts: When | None = None
    therapist: str = "asha"
    is_free: bool = False
    client: str = ""
    actions: dict[str, When] = field(default_factory=dict)
    sent: str = ""
    skipped: str = ""
    failed: str = ""
    is_claimed_by_killed: bool = False


def session(
    name: str, starts: When, *, asked: float = -8, accepted: float = -7, therapist: str = "bran",
    actions: dict[str, When] | None = None, **more: object,
) -> BookingCase:  # fmt: skip
    """A session requested and accepted so many hours after the schedulers went down."""
    done = {"accept": down(accepted), **(actions or {})}
    return BookingCase(
        name, down(asked), starts, therapist, actions=done, **more  # type: ignore[arg-type]
    )  # fmt: skip


def cancelled(therapist: str, *hours: float) -> list[BookingCase]:
    """Sessions that the therapist cancelled so many hours after the schedulers went down."""
    return [
        session(
            f"cancelled by {therapist} {number}", up(200 + number), therapist=therapist,
            actions={"cancel for therapist": down(hour)},
        )
        for number, hour in enumerate(hours)
    ]  # fmt: skip


ASKED = "booking_received booking_requested"
REMINDED = "session_reminder session_reminder"

# A request also makes the steps that are due for its therapist, so new ones have their own.
NEW_ENQUIRIES = [
    BookingCase("young", up(-1), therapist="newcomer"),
    BookingCase("past its reminder", up(-2.5), therapist="newcomer"),
    BookingCase("late", up(-5), therapist="newcomer"),
    BookingCase("its time has come unanswered", up(-8), therapist="newcomer", starts=up(-0.5),
                skipped=ASKED),
]  # fmt: skip

ENQUIRIES = [
    BookingCase("asked before", down(-1)),
    BookingCase("reminded before", down(-2.5)),
    BookingCase("late before", down(-5)),
    BookingCase("asked as they went down", down(0), skipped=ASKED),
    BookingCase("accepted late, unchased", down(-1), actions={"accept": down(5)}),
    BookingCase("declined in the outage", down(-1), actions={"decline": down(2)}),
    BookingCase("asked and declined in the outage", down(1), actions={"decline": down(2)},
                skipped=ASKED),
    BookingCase("withdrawn in the outage", down(1), actions={"withdraw": down(2)}, skipped=ASKED),
    BookingCase("a worker died with its emails", down(-2), actions={"accept": down(0)},
                is_claimed_by_killed=True),
    BookingCase("its client's server defers to this day", down(-1.5), client=DEFERRED,
                actions={"decline": down(-1)}, failed="booking_declined"),
    BookingCase("its client's server takes it at last", down(-1.5), client=LET_IN_LATER,
                actions={"decline": down(-1)}, sent="booking_declined"),
]  # fmt: skip

SESSIONS = [
    session("over", up(-3)),
    session("a free one over", up(-6), is_free=True),
    session("asked, accepted and held in the outage", down(8), asked=1, accepted=2,
            skipped=f"booking_accepted session_confirmed {ASKED}"),
    session("under way", up(-0.5)),
    session("within the hour", up(0.5), sent=REMINDED),
    session("tomorrow", up(20), sent=REMINDED),
    session("next week", up(150)),
    session("cancelled at short notice", up(3), actions={"cancel for client": up(-4)}),
    session("cancelled in time", up(60), actions={"cancel for client": up(-4)}),
    session("missed before", down(-3), actions={"no-show": down(3)}),
    session("missed in the outage", down(2), actions={"no-show": down(2.9)}),
]  # fmt: skip


def over(therapist: str, hours: float) -> BookingCase:
    return session(f"{therapist}'s, over", up(hours), therapist=therapist)


def ends_with_the_account(therapist: str) -> BookingCase:
    return BookingCase(f"{therapist}'s, open", up(-1.5), therapist=therapist, skipped=ASKED)


# Causes no email to its therapist, so there can be many copies.
QUIET = [over("quiet", -hours) for hours in range(2, 16)]

CASES = [
    *ENQUIRIES,
    *NEW_ENQUIRIES,
    *SESSIONS,
    *QUIET,
    *cancelled("third", -6, -5, 3),
    *cancelled("fourth", -6, -5, -4, 3),
    *cancelled("fifth", -6, -5, 1, 2, 3),
    ends_with_the_account("fifth"),
    session("kept", up(100), therapist="fifth"),
    *cancelled("recovered", -6, -5, -4, -3),
    over("recovered", -5),
    *cancelled("recovered at once", 1, 2, 3, 4),
    over("recovered at once", -2),
    *cancelled("recovered too late", 1, 2, 3, 4, 5),
    over("recovered too late", -2),
    ends_with_the_account("recovered too late"),
]
THERAPISTS = list(dict.fromkeys(case.therapist for case in CASES))
