"""What an outage can leave behind: bookings and practices, and what is to become of each."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.harness.deferring_smtp import DEFERRED, LET_IN_LATER


@dataclass(frozen=True)
class When:
    """So many hours from the moment at which the schedulers went down, or came back up."""

    is_up: bool
    hours: float

    def at(self, down_at: datetime, up_at: datetime) -> datetime:
        return (up_at if self.is_up else down_at) + timedelta(hours=self.hours)


def down(hours: float) -> When:
    return When(False, hours)


def up(hours: float) -> When:
    return When(True, hours)


@dataclass(frozen=True)
class Life:
    """One booking: what people did, and what the catch-up is to make of it.

    `happens` are the lines that the catch-up writes into the timeline; `leaves`, `skipped` and
    `failed` are the kinds of email that end so, of all that were not settled before it.
    """

    name: str
    asked: When
    becomes: str
    happens: str = ""
    leaves: str = ""
    skipped: str = ""
    failed: str = ""
    money: str = ""
    starts: When | None = None
    therapist: str = "asha"
    is_free: bool = False
    client: str = ""
    deeds: dict[str, When] = field(default_factory=dict)
    is_claimed_by_the_dead: bool = False


def enquiry(name: str, asked: When, becomes: str, **more: object) -> Life:
    return Life(name, asked, becomes, **more)  # type: ignore[arg-type]


def session(
    name: str, starts: When, becomes: str, *, asked: float = -8, accepted: float = -7,
    therapist: str = "bran", deeds: dict[str, When] | None = None, **more: object,
) -> Life:  # fmt: skip
    """A session asked for and accepted so many hours from when the schedulers went down."""
    done = {"accept": down(accepted), **(deeds or {})}
    return Life(
        name, down(asked), becomes, starts=starts, therapist=therapist, deeds=done,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def cancelled(therapist: str, *hours: float) -> list[Life]:
    """Sessions that their therapist cancelled, so many hours from when the schedulers went down."""
    return [
        session(
            f"cancelled by {therapist} {number}", up(200 + number), "cancelled_by_therapist",
            therapist=therapist, deeds={"therapist": down(hour)},
            leaves="cancellation_recorded therapist_cancelled" if hour >= 0 else "",
        )
        for number, hour in enumerate(hours)
    ]  # fmt: skip


ASKED = "booking_received booking_requested"
ACCEPTED = "booking_accepted session_confirmed"
EXPIRED = "booking_expired enquiry_expired"
REMINDED = "session_reminder session_reminder"

# Whoever asks for a session makes the clock's moves on all that the therapist has: they go apart.
NEW_ENQUIRIES = [
    enquiry("young", up(-1), "requested", therapist="newcomer", leaves=ASKED),
    enquiry("past its reminder", up(-2.5), "requested", therapist="newcomer", happens="reminded",
            leaves=f"answer_reminder {ASKED}"),
    enquiry("late", up(-5), "requested", therapist="newcomer", happens="late",
            leaves=f"answer_late answer_late_client answer_late_ops {ASKED}"),
    enquiry("its time has come unanswered", up(-8), "expired", therapist="newcomer",
            starts=up(-0.5), happens="expired", leaves=EXPIRED, skipped=ASKED),
]  # fmt: skip

ENQUIRIES = [
    enquiry("asked before", down(-1), "expired", happens="expired", leaves=EXPIRED),
    enquiry("reminded before", down(-2.5), "expired", happens="expired", leaves=EXPIRED),
    enquiry("told late before", down(-5), "expired", happens="expired", leaves=EXPIRED),
    enquiry("asked as they went down", down(0), "expired", happens="expired", leaves=EXPIRED,
            skipped=ASKED),
    enquiry("accepted late, unchased", down(-1), "accepted", deeds={"accept": down(5)},
            leaves=ACCEPTED),
    enquiry("declined meanwhile", down(-1), "declined", deeds={"decline": down(2)},
            leaves="booking_declined enquiry_declined"),
    enquiry("asked and declined meanwhile", down(1), "declined", deeds={"decline": down(2)},
            leaves="booking_declined enquiry_declined", skipped=ASKED),
    enquiry("withdrawn meanwhile", down(1), "withdrawn", deeds={"withdraw": down(2)},
            leaves="booking_withdrawn withdrawal_receipt", skipped=ASKED),
    enquiry("a worker died with its emails", down(-2), "accepted", deeds={"accept": down(0)},
            leaves=ACCEPTED, is_claimed_by_the_dead=True),
    enquiry("its client's server defers to this day", down(-1.5), "declined", client=DEFERRED,
            deeds={"decline": down(-1)}, failed="booking_declined"),
    enquiry("its client's server takes it at last", down(-1.5), "declined", client=LET_IN_LATER,
            deeds={"decline": down(-1)}, leaves="booking_declined"),
]  # fmt: skip

SESSIONS = [
    session("over", up(-3), "completed", happens="completed"),
    session("a free one over", up(-6), "completed", happens="completed", is_free=True),
    session("asked, accepted and held meanwhile", down(8), "completed", asked=1, accepted=2,
            happens="completed", skipped=f"{ACCEPTED} {ASKED}"),
    session("under way", up(-0.5), "accepted"),
    session("within the hour", up(0.5), "accepted", leaves=REMINDED),
    session("tomorrow", up(20), "accepted", leaves=REMINDED),
    session("next week", up(150), "accepted"),
    session("cancelled at short notice", up(3), "cancelled_by_client", money="earned",
            deeds={"client": up(-4)}, leaves="cancellation_receipt client_cancelled"),
    session("cancelled in time", up(60), "cancelled_by_client", money="back",
            deeds={"client": up(-4)}, leaves="cancellation_receipt client_cancelled"),
    session("missed before", down(-3), "no_show", deeds={"no_show": down(3)},
            leaves="no_show_recorded"),
    session("missed meanwhile", down(2), "no_show", deeds={"no_show": down(2.9)},
            leaves="no_show_recorded"),
]  # fmt: skip


@dataclass(frozen=True)
class Practice:
    """A therapist whose standing the outage went over: their sessions, and what is to be so."""

    slug: str
    lives: list[Life]
    streak: int
    account: str = "active"
    is_flagged: bool = False
    leaves: str = ""


def _ends_with_the_account(slug: str) -> Life:
    return enquiry(f"{slug}'s, open", up(-1.5), "expired", therapist=slug, happens="expired",
                   leaves=EXPIRED, skipped=ASKED)  # fmt: skip


def _over(slug: str, hours: float) -> Life:
    return session(f"{slug}'s, over", up(hours), "completed", therapist=slug, happens="completed")


OFF = "account_alert account_deactivated"
QUIET = Practice("quiet", [_over("quiet", -hours) for hours in range(2, 16)], 0)
"""Nothing to tell anybody: there can be many of these."""

PRACTICES = [
    Practice("asha", ENQUIRIES, 0),
    Practice("newcomer", NEW_ENQUIRIES, 0),
    Practice("bran", SESSIONS, 0),
    QUIET,
    Practice("third", cancelled("third", -6, -5, 3), 3, leaves="streak_warning"),
    Practice("fourth", cancelled("fourth", -6, -5, -4, 3), 4, is_flagged=True,
             leaves="account_alert account_flagged"),
    Practice("fifth", [*cancelled("fifth", -6, -5, 1, 2, 3), _ends_with_the_account("fifth"),
                       session("kept", up(100), "accepted", therapist="fifth")],
             5, "deactivated", is_flagged=True, leaves=OFF),
    Practice("mended", [*cancelled("mended", -6, -5, -4, -3), _over("mended", -5)], 0),
    Practice("mended at once", [*cancelled("mended at once", 1, 2, 3, 4),
                                _over("mended at once", -2)], 0),
    Practice("too late to mend", [*cancelled("too late to mend", 1, 2, 3, 4, 5),
                                  _over("too late to mend", -2),
                                  _ends_with_the_account("too late to mend")],
             0, "deactivated", leaves=OFF),
]  # fmt: skip

LIVES = [life for practice in PRACTICES for life in practice.lives]
