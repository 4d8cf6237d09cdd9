"""Many bookings at random against a small model of the rules that shares no code with them."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app import clock
from app.errors import FreeConsultationUsed, SlotTaken, TherapistUnavailable
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services.bookings import cancel, request, transitions
from app.services.bookings.transitions import MoveResult
from app.services.ops import replay
from app.services.therapists import ranking, standing
from app.store import queries
from app.store.db import database
from app.store.models import TABLES, Booking, HeldTime, LedgerLine, Therapist
from tests.harness.soak import runs
from tests.scenarios.booking_model import FEES, Model, Told
from tests.scenarios.cast import MONDAY, therapist
from tests.scenarios.story import DEE, ELI, JOBS, total

pytestmark = pytest.mark.both_databases

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
WRITTEN_LATER = {("requested", "expired"), ("accepted", "completed")}


class Lives(RuleBasedStateMachine):
    """Two therapists, two clients, and whatever they and the clock may do."""

    traveller: Any = None

    @initialize()
    def open_the_house(self) -> None:
        with database.db.atomic():
            for table in reversed(TABLES):
                table.delete().execute()
        self.model = Model(MONDAY)
        self.move_to(MONDAY)
        therapist("Asha Rao", "Europe/London", FEES["asha"])
        therapist("Bran Cole", "America/New_York", FEES["bran"])
        self.is_swept = True

    def move_to(self, now: datetime) -> None:
        self.traveller.move_to(now, tick=False)
        self.model.pass_to(now)

    @rule(
        slug=st.sampled_from(list(FEES)),
        client=st.sampled_from([DEE, ELI]),
        day=st.integers(1, 3),
        half_hour=st.integers(0, 3),
        is_free=st.sampled_from([False, False, True]),
        handed_over=st.booleans(),
        accepted=st.sampled_from([True, True, False]),
    )
    def ask(
        self,
        slug: str,
        client: tuple[str, str, str],
        day: int,
        half_hour: int,
        is_free: bool,
        handed_over: bool,
        accepted: bool,
    ) -> None:
        # Half past two to four in London is open in New York as well, in winter.
        at = self.model.now.replace(hour=14, minute=30, second=0, microsecond=0)
        at += day * DAY + half_hour * 2 * QUARTER
        told = Told("", slug, client[1], is_free, self.model.now, at, handed_over)
        if self.book(told, client) and accepted:
            self.answer(told, "accepted")

    def book(self, told: Told, client: tuple[str, str, str]) -> bool:
        possible = self.what_may_come_of(told)
        kind = Kind.FREE_CONSULTATION if told.is_free else Kind.PAID
        asked = request.BookingRequest(told.slug, *client, told.starts_at, kind)
        booking, refusal = None, None
        try:
            booking = request.request_booking(asked, via=Via.API, now=self.model.now)
        except (FreeConsultationUsed, SlotTaken, TherapistUnavailable) as error:
            refusal = type(error)
        assert refusal in possible
        self.is_swept = False
        if booking is None:
            return False
        told.reference = booking.reference
        self.model.told.append(told)
        if told.handed_over:
            with database.db.atomic():
                Booking.update(handed_over_at=clock.now()).where(Booking.id == booking.id).execute()
                ranking.schedule_refresh(booking.therapist_id, clock.now())
        return True

    def in_limbo(self) -> set[str]:
        """Whose account is about to be deactivated: done by the next sweep, or a little before."""
        return {slug for slug in FEES if self.model.streak(slug)[1]} - self.model.deactivated

    def what_may_come_of(self, asked: Told) -> set[type[Exception] | None]:
        """The refusals that may meet a request; None for a booking."""
        if asked.slug in self.model.deactivated:
            return {TherapistUnavailable}
        others = [each for each in self.model.told if each.slug == asked.slug]
        perhaps = {TherapistUnavailable} if asked.slug in self.in_limbo() else set()
        if asked.is_free and any(each.uses_free and each.email == asked.email for each in others):
            return perhaps | {FreeConsultationUsed}
        is_taken = any(
            each.is_live and each.starts_at < asked.ends_at and asked.starts_at < each.ends_at
            for each in others
        )
        return perhaps | {SlotTaken if is_taken else None}

    def any_booking(self, data: st.DataObject) -> Told:
        """Mostly a live one: what has ended refuses everything, soon told."""
        live = [told for told in self.model.told if told.is_live]
        is_live = live and data.draw(st.sampled_from([True, True, True, False]), label="live")
        chosen: Told = data.draw(st.sampled_from(live if is_live else self.model.told))
        return chosen

    def is_told(self) -> bool:
        return bool(self.model.told)

    def did(self, told: Told, outcome: MoveResult, status: str, *, allowed: bool) -> None:
        """What came of a move is what the model says; the model then makes it too."""
        expected = "allowed" if allowed else outcome.verdict
        assert outcome.verdict == expected
        assert (outcome.verdict == "allowed") == allowed
        self.is_swept = False
        if allowed:
            if status in ("accepted", "declined"):
                told.answered_at = self.model.now
            if status == "accepted":
                told.status = status
            else:
                self.model.end(told, status, self.model.now)

    @precondition(is_told)
    @rule(
        data=st.data(),
        deed=st.sampled_from(
            ["accepted", "declined", "withdrawn", "by client", "by therapist", "no_show"]
        ),
    )
    def act(self, data: st.DataObject, deed: str) -> None:
        told = self.any_booking(data)
        match deed:
            case "withdrawn":
                self.withdraw(told)
            case "by client":
                self.cancel_for_client(told)
            case "by therapist":
                self.cancel_for_therapist(told)
            case "no_show":
                self.mark_no_show(told)
            case _:
                self.answer(told, deed)

    def stored(self, told: Told) -> Booking:
        return queries.booking_by_reference(told.reference)

    def answer(self, told: Told, status: str) -> None:
        move = Move.ACCEPT if status == "accepted" else Move.DECLINE
        outcome = transitions.make_move(
            self.stored(told), move, by=Actor.THERAPIST, via=Via.LINK, now=self.model.now
        )
        self.did(told, outcome, status, allowed=told.status == "requested")

    def withdraw(self, told: Told) -> None:
        outcome = transitions.make_move(
            self.stored(told), Move.WITHDRAW, by=Actor.CLIENT, via=Via.LINK, now=self.model.now
        )
        self.did(told, outcome, "withdrawn", allowed=told.status == "requested")

    def cancel_for_client(self, told: Told) -> None:
        before_start, now = self.model.now < told.starts_at, self.model.now
        status = "withdrawn" if told.status == "requested" else "cancelled_by_client"
        allowed = told.is_live and before_start
        outcome = cancel.cancel(self.stored(told), by=Actor.CLIENT, via=Via.LINK, now=now)
        self.did(told, outcome, status, allowed=allowed)

    def cancel_for_therapist(self, told: Told) -> None:
        now = self.model.now
        allowed = told.status == "accepted" and now < told.starts_at
        outcome = cancel.cancel(self.stored(told), by=Actor.THERAPIST, via=Via.API, now=now)
        self.did(told, outcome, "cancelled_by_therapist", allowed=allowed)
        if allowed:
            self.model.remember(now, told.slug, "cancelled")

    def mark_no_show(self, told: Told) -> None:
        over = told.ends_at <= self.model.now <= told.ends_at + timedelta(minutes=10) + 7 * DAY
        allowed = told.status in ("accepted", "completed") and over
        outcome = cancel.mark_no_show(self.stored(told), via=Via.DASHBOARD, now=self.model.now)
        self.did(told, outcome, "no_show", allowed=allowed)

    @rule(slug=st.sampled_from(list(FEES)), times=st.integers(1, 5))
    def keep_cancelling(self, slug: str, times: int) -> None:
        """What makes streaks: one far session after the other is booked, accepted, cancelled."""
        at = self.model.now.replace(hour=16, minute=0, second=0, microsecond=0) + 7 * DAY
        for _ in range(times):
            told = Told("", slug, DEE[1], False, self.model.now, at, handed_over=True)
            if self.book(told, DEE):
                self.answer(told, "accepted")
                self.cancel_for_therapist(told)

    @rule(minutes=st.sampled_from([10, 50, 60, 180, 181, 600, 1430, 1440, 2880]))
    def wait(self, minutes: int) -> None:
        self.move_to(self.model.now + timedelta(minutes=minutes))
        self.is_swept = False

    @precondition(is_told)
    @rule(data=st.data(), what=st.sampled_from(["start", "end", "done", "expiry", "day before"]))
    def wait_for(self, data: st.DataObject, what: str) -> None:
        """Boundaries are where rules break; time alone seldom stops on one."""
        told = self.any_booking(data)
        instant = {
            "start": told.starts_at,
            "end": told.ends_at,
            "done": told.ends_at + timedelta(minutes=10),
            "expiry": told.expires_at,
            "day before": told.starts_at - DAY,
        }[what]
        if instant > self.model.now:
            self.move_to(instant)
            self.is_swept = False

    @rule(slug=st.sampled_from(list(FEES)))
    def reactivate(self, slug: str) -> None:
        # Ops is slow to forgive, or no account would stay deactivated for long.
        if slug in self.model.deactivated and self.model.now.hour % 2:
            assert standing.reactivate(slug, self.model.now)
            self.model.deactivated.discard(slug)
            self.model.remember(self.model.now, slug, "reactivated")
            self.is_swept = False

    @rule()
    def sweep(self) -> None:
        for job in JOBS:
            assert total(job(self.model.now)).failed == 0
        self.model.sweep()
        self.is_swept = True

    @invariant()
    def bookings_are_where_the_model_has_them(self) -> None:
        stored = {booking.reference: booking for booking in Booking.select()}
        assert len(stored) == len(self.model.told)
        for told in self.model.told:
            booking = stored[told.reference]
            if self.is_lagging(booking, told):
                continue
            assert booking.status == told.status
            assert booking.uses_free_consultation == told.uses_free
            assert (booking.answered_at, booking.ended_at) == (told.answered_at, told.ended_at)

    def is_lagging(self, booking: Booking, told: Told) -> bool:
        """Whether what the clock, or a deactivation, has done is still to be written down."""
        if self.is_swept or booking.status == told.status:
            return False
        return (booking.status, told.status) in WRITTEN_LATER

    @invariant()
    def money_adds_up(self) -> None:
        sums: dict[str, dict[str, int]] = {}
        lines = LedgerLine.select(LedgerLine, Booking).join(Booking)
        for line in lines:
            of = sums.setdefault(line.booking.reference, {})
            of[line.account] = of.get(line.account, 0) + line.amount_minor
        for booking in Booking.select(Booking, Therapist).join(Therapist):
            owed = sums.get(booking.reference, {})
            fee = 0 if booking.kind == "free_consultation" else FEES[booking.therapist.slug]
            assert sum(owed.values()) == 0
            told = next(each for each in self.model.told if each.reference == booking.reference)
            if booking.status in ("requested", "accepted"):
                assert owed.get("held", 0) == fee == -owed.get("client", 0)
                continue
            is_earned = not (told.refunded or told.status == "requested")
            assert owed.get("held", 0) == 0
            payout, commission = owed.get("therapist", 0), owed.get("commission", 0)
            assert payout + commission == (fee if is_earned else 0) == -owed.get("client", 0)
            assert commission == ((fee + 5) // 10 if is_earned else 0)

    @invariant()
    def held_times_are_those_of_live_bookings(self) -> None:
        expected = {
            (booking.therapist_id, booking.starts_at + cell * QUARTER, booking.id)
            for booking in Booking.select()
            if booking.status in ("requested", "accepted")
            for cell in range(-(-(booking.ends_at - booking.starts_at) // QUARTER))
        }
        held = {(row.therapist_id, row.cell_at, row.booking_id) for row in HeldTime.select()}
        assert held == expected

    @invariant()
    def streaks_are_those_of_the_reference(self) -> None:
        lagging = {
            booking.therapist_id
            for booking in Booking.select().where(Booking.status == "accepted")
            if booking.completes_at <= self.model.now
        }
        for row in Therapist.select():
            streak, _ = self.model.streak(row.slug)
            if row.id not in lagging:
                assert row.streak == streak
            if self.is_swept:
                assert (row.deactivated_at is not None) == (row.slug in self.model.deactivated)
                assert (row.flagged_at is not None) == (streak >= 4)

    @invariant()
    def scores_are_those_of_the_reference(self) -> None:
        if not self.is_swept:
            return
        for row in Therapist.select():
            assert row.score == pytest.approx(self.model.score(row.slug), abs=1e-9)
        is_listed = {row.slug for row in queries.listed_therapists(self.model.now)}
        assert is_listed == set(FEES) - self.model.deactivated

    def ranking_keeps_its_promises(self) -> None:
        """Later is never better, no is never better than yes, silence never better than either."""
        ended = [told for told in self.model.told if told.answered_at and told.handed_over]
        for told in ended[-6:]:
            booking = queries.booking_by_reference(told.reference)
            on_time = booking.requested_at + HOUR
            last = booking.expires_at - timedelta(microseconds=1)
            answers = [
                {"status": status, "answered_at": at, "ended_at": at}
                for status in ("accepted", "declined")
                for at in (on_time, on_time + 3 * HOUR, last)
            ]
            silence = {"status": "expired", "answered_at": None, "ended_at": booking.expires_at}
            yes, no = [[self.score_if(booking, one) for one in half]
                       for half in (answers[:3], answers[3:])]  # fmt: skip
            assert yes == sorted(yes, reverse=True)
            assert no == sorted(no, reverse=True)
            assert all(one <= other for one, other in zip(no, yes, strict=True))
            assert self.score_if(booking, silence) <= min(no + yes)
            cancelled = {**answers[0], "status": "cancelled_by_therapist"}
            assert self.score_if(booking, cancelled) <= yes[0]

    def score_if(self, booking: Booking, were: dict[str, object]) -> Fraction:
        """The score of the booking's therapist if it had gone another way; nothing is kept."""
        with database.db.atomic() as transaction:
            Booking.update(were).where(Booking.id == booking.id).execute()
            score = ranking.compute(booking.therapist, self.model.now).score
            transaction.rollback()
        return score

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        assert list(replay.find_differences(self.model.now)) == []
        self.sweep()
        self.scores_are_those_of_the_reference()
        self.bookings_are_where_the_model_has_them()
        assert list(replay.find_differences(self.model.now)) == []
        self.ranking_keeps_its_promises()


def test_any_life_of_many_bookings_keeps_every_rule(app: Flask, at: Any, time_machine: Any) -> None:
    is_sqlite = database.is_sqlite()
    if is_sqlite:
        # What a crash would do to this file is no question here; how many lives fit into a run is.
        database.db.execute_sql("PRAGMA synchronous=OFF")
    Lives.traveller = time_machine
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=runs(8, 1000) if is_sqlite else runs(4, 300),
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
