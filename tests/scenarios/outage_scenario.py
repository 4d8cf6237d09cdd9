"""A street of practices as an outage leaves it: every life told through the services."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from app.rules.lifecycle import Actor, Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services import auth
from app.services.bookings import cancel
from app.services.therapists import accounts
from app.store.models import Booking, OutboxEmail, OutboxStatus
from tests.scenarios.outage_cases import LIVES, PRACTICES, Life, When, up
from tests.scenarios.story import Story

HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=3)


class Street(Story):
    """The story of all of them."""

    def tell(self, down_at: datetime, up_at: datetime) -> dict[int, Life]:
        """Live through it all, with schedulers until `down_at` and none from then to `up_at`.

        Returns every life by its booking's id.
        """
        self.told: dict[int, Life] = {}
        self.at(down_at - timedelta(days=1))
        for practice in PRACTICES:
            self._open(practice.slug)
        deeds = defaultdict[datetime, list[Callable[[], object]]](list)
        for at in (down_at - HOUR, down_at):
            deeds[at].append(self._ask_to_sign_in)
        for ticks in range(1, 10):
            deeds[down_at - ticks * HOUR + timedelta(minutes=59)] = []
        for number, life in enumerate(LIVES):
            starts = (life.starts or up(50 + number)).at(down_at, up_at)
            for when, deed in self._deeds(life, number, starts):
                deeds[when.at(down_at, up_at)].append(deed)
        for at in sorted(deeds):
            self.at(at)
            for deed in deeds[at]:
                deed()
            if at < down_at:
                self.sweep()
                self.deliver()
        self.at(up_at)
        return self.told

    def _deeds(
        self, life: Life, number: int, starts: datetime
    ) -> list[tuple[When, Callable[[], object]]]:
        asked: list[Booking] = []

        def ask() -> None:
            who = ("Dee Stone", f"{life.client}dee{number}@clients.example", "America/New_York")
            kind = Kind.FREE_CONSULTATION if life.is_free else Kind.PAID
            slug = life.therapist.replace(" ", "-")
            asked.append(self.ask(slug, starts_at=starts, client=who, kind=kind, note="A note"))
            self.told[asked[0].id] = life

        def then(deed: str) -> Callable[[], object]:
            return lambda: self._do(deed, life, asked[0])

        return [(life.asked, ask), *((when, then(deed)) for deed, when in life.deeds.items())]

    def _do(self, deed: str, life: Life, booking: Booking) -> None:
        match deed:
            case "accept" | "decline" | "withdraw":
                getattr(self, deed)(booking)
            case "no_show":
                cancel.mark_no_show(booking, via=Via.DASHBOARD, now=self.now)
            case _:
                self.cancel(booking, Actor(deed))
        if life.is_claimed_by_the_dead:
            claimed = {"status": OutboxStatus.SENDING, "lease_token": "of a dead worker"}
            OutboxEmail.update(**claimed, attempts=1, due_at=self.now + LEASE).where(
                OutboxEmail.booking == booking, OutboxEmail.status == OutboxStatus.QUEUED
            ).execute()

    def _open(self, name: str) -> None:
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
