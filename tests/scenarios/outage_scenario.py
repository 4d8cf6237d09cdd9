"""Plays all outage cases through the services, and in the model of the rules beside them."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.rules.lifecycle import Actor, Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services import auth
from app.services.bookings import cancel
from app.services.therapists import accounts
from app.store.models import Booking, OutboxEmail, OutboxStatus
from tests.scenarios.booking_model import EMAILS, Model, ModelBooking
from tests.scenarios.outage_cases import CASES, THERAPISTS, BookingCase, When, up
from tests.scenarios.story import Story

HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=3)


EVENTS = {
    "accept": "accepted",
    "decline": "declined",
    "withdraw": "withdrawn",
    "cancel for client": "cancelled_by_client",
    "cancel for therapist": "cancelled_by_therapist",
    "no-show": "no_show",
}
BY_THE_CLOCK = ("reminded", "late", "completed", "expired")


@dataclass(frozen=True)
class Played:
    """A case after the outage; `expected` is how it must be after the catch-up."""

    case: BookingCase
    expected: ModelBooking
    down_at: datetime

    @property
    def _since_down(self) -> list[str]:
        return [event for event, at in self.expected.events if at >= self.down_at]

    @property
    def new_events(self) -> list[str]:
        """The events that the catch-up adds to the timeline."""
        by_the_clock = [event for event in self._since_down if event in BY_THE_CLOCK]
        return by_the_clock + self._failures

    @property
    def is_due(self) -> bool:
        return bool(self.new_events) or "session_reminder" in self.case.sent

    @property
    def _failures(self) -> list[str]:
        # An event, and an email to ops of the same name.
        return ["client_unreachable"] if self.case.failed else []

    def emails(self) -> dict[str, list[str]]:
        """The kinds of email that the catch-up must settle, by how it settles them."""
        caused = [kind for event in self._since_down for kind in EMAILS[event]]
        skipped, failed = self.case.skipped.split(), self.case.failed.split()
        sent = [kind for kind in caused if kind not in skipped] + self.case.sent.split()
        sent += self._failures
        found = {"sent": sent, "skipped": skipped, "failed": failed}
        return {status: sorted(kinds) for status, kinds in found.items() if kinds}


class OutageScenario(Story):
    """A story with all therapists and bookings of the cases."""

    def play(self, down_at: datetime, up_at: datetime) -> dict[int, Played]:
        """Play everything, with schedulers until `down_at` and without from then to `up_at`.

        Returns what was played by booking id. `model` is then as after the catch-up, and
        `announced` holds the emails that tell therapists and ops of a standing, by therapist.
        """
        self.down_at, self.model = down_at, Model(down_at)
        self.played: dict[int, Played] = {}
        self.at(down_at - timedelta(days=1))
        for name in THERAPISTS:
            self._add_therapist(name)
        actions = defaultdict[datetime, list[Callable[[], object]]](list)
        for at in (down_at - HOUR, down_at):
            actions[at].append(self._ask_to_sign_in)
        for ticks in range(1, 10):
            actions[down_at - ticks * HOUR + timedelta(minutes=59)] = []
        for number, case in enumerate(CASES):
            starts = (case.starts or up(50 + number)).at(down_at, up_at)
            for when, action in self._actions(case, number, starts):
                actions[when.at(down_at, up_at)].append(action)
        for at in sorted(actions):
            self.model.pass_to(self.at(at))
            for action in actions[at]:
                action()
            if at < down_at:
                self.sweep()
                self.deliver()
                self.model.sweep()
        self.model.pass_to(self.at(up_at))
        self.announced = self.model.sweep()
        return self.played

    def _actions(
        self, case: BookingCase, number: int, starts: datetime
    ) -> list[tuple[When, Callable[[], object]]]:
        asked: list[Booking] = []

        def ask() -> None:
            who = ("Dee Stone", f"{case.client}dee{number}@clients.example", "America/New_York")
            kind = Kind.FREE_CONSULTATION if case.is_free else Kind.PAID
            slug = case.therapist.replace(" ", "-")
            booking = self.ask(slug, starts_at=starts, client=who, kind=kind, note="A note")
            asked.append(booking)
            expected = ModelBooking(case.therapist, who[1], case.is_free, self.now, starts)
            self.model.bookings.append(expected)
            self.played[booking.id] = Played(case, expected, self.down_at)

        def then(action: str) -> Callable[[], object]:
            return lambda: self._do(action, self.played[asked[0].id], asked[0])

        return [(case.asked, ask), *((when, then(action)) for action, when in case.actions.items())]

    def _do(self, action: str, played: Played, booking: Booking) -> None:
        match action:
            case "accept" | "decline" | "withdraw":
                getattr(self, action)(booking)
            case "no-show":
                cancel.mark_no_show(booking, via=Via.DASHBOARD, now=self.now)
            case _:
                self.cancel(booking, Actor(action.removeprefix("cancel for ")))
        self.model.add(played.expected, EVENTS[action], self.now)
        if played.case.is_claimed_by_killed:
            claimed = {"status": OutboxStatus.SENDING, "lease_token": "of a dead worker"}
            OutboxEmail.update(**claimed, attempts=1, due_at=self.now + LEASE).where(
                OutboxEmail.booking == booking, OutboxEmail.status == OutboxStatus.QUEUED
            ).execute()

    def _add_therapist(self, name: str) -> None:
        slug = name.replace(" ", "-")
        accounts.add_therapist(
            accounts.NewTherapist(
                slug, f"{name.title()} Rao", f"{slug}@therapists.example", "Europe/London", 6000,
                parse_windows("Mon-Sun 00:00-24:00"), meeting_url="https://meet.example/rao",
            ),
            self.now,
        )  # fmt: skip

    def _ask_to_sign_in(self) -> None:
        auth.request_sign_in("asha@therapists.example", "/dashboard", self.now)
