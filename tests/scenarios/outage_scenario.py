"""Plays all outage cases through the services."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from app.rules.lifecycle import Actor, Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services import auth
from app.services.bookings import cancel
from app.services.therapists import accounts
from app.store.models import Booking, OutboxEmail, OutboxStatus
from tests.scenarios.outage_cases import BOOKING_CASES, THERAPIST_CASES, BookingCase, When, up
from tests.scenarios.story import Story

HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=3)


class OutageScenario(Story):
    """A story with all therapists and bookings of the cases."""

    def play(self, down_at: datetime, up_at: datetime) -> dict[int, BookingCase]:
        """Play everything, with schedulers until `down_at` and without from then to `up_at`.

        Returns the cases by booking id.
        """
        self.cases_by_booking: dict[int, BookingCase] = {}
        self.at(down_at - timedelta(days=1))
        for each in THERAPIST_CASES:
            self._add_therapist(each.slug)
        actions = defaultdict[datetime, list[Callable[[], object]]](list)
        for at in (down_at - HOUR, down_at):
            actions[at].append(self._ask_to_sign_in)
        for ticks in range(1, 10):
            actions[down_at - ticks * HOUR + timedelta(minutes=59)] = []
        for number, case in enumerate(BOOKING_CASES):
            starts = (case.starts or up(50 + number)).at(down_at, up_at)
            for when, action in self._actions(case, number, starts):
                actions[when.at(down_at, up_at)].append(action)
        for at in sorted(actions):
            self.at(at)
            for action in actions[at]:
                action()
            if at < down_at:
                self.sweep()
                self.deliver()
        self.at(up_at)
        return self.cases_by_booking

    def _actions(
        self, case: BookingCase, number: int, starts: datetime
    ) -> list[tuple[When, Callable[[], object]]]:
        asked: list[Booking] = []

        def ask() -> None:
            who = ("Dee Stone", f"{case.client}dee{number}@clients.example", "America/New_York")
            kind = Kind.FREE_CONSULTATION if case.is_free else Kind.PAID
            slug = case.therapist.replace(" ", "-")
            asked.append(self.ask(slug, starts_at=starts, client=who, kind=kind, note="A note"))
            self.cases_by_booking[asked[0].id] = case

        def then(action: str) -> Callable[[], object]:
            return lambda: self._do(action, case, asked[0])

        return [(case.asked, ask), *((when, then(action)) for action, when in case.actions.items())]

    def _do(self, action: str, case: BookingCase, booking: Booking) -> None:
        match action:
            case "accept" | "decline" | "withdraw":
                getattr(self, action)(booking)
            case "no_show":
                cancel.mark_no_show(booking, via=Via.DASHBOARD, now=self.now)
            case _:
                self.cancel(booking, Actor(action))
        if case.is_claimed_by_killed:
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
