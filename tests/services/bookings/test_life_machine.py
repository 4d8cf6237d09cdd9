"""Random lives of many bookings, compared with an independent model of the rules."""

from collections import Counter, defaultdict
from dataclasses import replace
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
from app.store.models import TABLES, Booking, HeldTime, LedgerLine, Therapist, TimelineEntry
from tests.harness.soak import runs
from tests.scenarios.booking_model import Model, ModelBooking
from tests.scenarios.cast import MONDAY, therapist
from tests.scenarios.story import DEE, ELI, JOBS, total

pytestmark = pytest.mark.both_databases

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
FEES = {"asha": 6005, "bran": 8000}
ACTIONS = ("accept", "decline", "withdraw", "cancel for client", "cancel for therapist", "no-show")


class BookingLives(RuleBasedStateMachine):
    """Two therapists, two clients, and anything that they and the clock can do."""

    time_machine: Any = None

    @initialize()
    def start(self) -> None:
        with database.db.atomic():
            for table in reversed(TABLES):
                table.delete().execute()
        self.model = Model(MONDAY)
        self.move_to(MONDAY)
        therapist("Asha Rao", "Europe/London", FEES["asha"])
        therapist("Bran Cole", "America/New_York", FEES["bran"])
        self.is_swept = True

    def move_to(self, now: datetime) -> None:
        self.time_machine.move_to(now, tick=False)
        self.model.pass_to(now)
        self.is_swept = False

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
        wanted = ModelBooking(slug, client[1], is_free, self.model.now, at, handed_over)
        if self.request(wanted, client) and accepted:
            self.answer(wanted, "accepted")

    def request(self, wanted: ModelBooking, client: tuple[str, str, str]) -> bool:
        possible = self.possible_answers(wanted)
        kind = Kind.FREE_CONSULTATION if wanted.is_free else Kind.PAID
        values = request.BookingRequest(wanted.slug, *client, wanted.starts_at, kind)
        booking, refusal = None, None
        try:
            booking = request.request_booking(values, via=Via.API, now=self.model.now)
        except (FreeConsultationUsed, SlotTaken, TherapistUnavailable) as error:
            refusal = type(error)
        assert refusal in possible
        self.is_swept = False
        if booking is None:
            return False
        wanted.reference = booking.reference
        self.model.bookings.append(wanted)
        if wanted.handed_over:
            with database.db.atomic():
                Booking.update(handed_over_at=clock.now()).where(Booking.id == booking.id).execute()
                ranking.schedule_refresh(booking.therapist_id, clock.now())
        return True

    def possible_answers(self, wanted: ModelBooking) -> set[type[Exception] | None]:
        """The refusals that a request can meet; None stands for a booking."""
        if wanted.slug in self.model.deactivated:
            return {TherapistUnavailable}
        # A deactivation that is due is applied by the next sweep, or a little before it.
        is_due = self.model.standing(wanted.slug).is_deactivated
        perhaps: set[type[Exception] | None] = {TherapistUnavailable} if is_due else set()
        others = [each for each in self.model.bookings if each.slug == wanted.slug]
        if wanted.is_free and any(each.uses_free and each.email == wanted.email for each in others):
            return perhaps | {FreeConsultationUsed}
        is_taken = any(
            each.is_live and each.starts_at < wanted.ends_at and wanted.starts_at < each.ends_at
            for each in others
        )
        return perhaps | {SlotTaken if is_taken else None}

    def any_booking(self, data: st.DataObject) -> ModelBooking:
        """Usually a live one: a booking that has ended refuses everything."""
        live = [each for each in self.model.bookings if each.is_live]
        is_live = live and data.draw(st.sampled_from([True, True, True, False]), label="live")
        chosen: ModelBooking = data.draw(st.sampled_from(live if is_live else self.model.bookings))
        return chosen

    def has_bookings(self) -> bool:
        return bool(self.model.bookings)

    @precondition(has_bookings)
    @rule(data=st.data(), action=st.sampled_from(ACTIONS))
    def act(self, data: st.DataObject, action: str) -> None:
        booking = self.any_booking(data)
        match action:
            case "accept":
                self.answer(booking, "accepted")
            case "decline":
                self.answer(booking, "declined")
            case "withdraw":
                self.withdraw(booking)
            case "cancel for client":
                self.cancel(booking, Actor.CLIENT)
            case "cancel for therapist":
                self.cancel(booking, Actor.THERAPIST)
            case _:
                result = cancel.mark_no_show(
                    self.stored(booking), via=Via.DASHBOARD, now=self.model.now
                )
                self.compare(booking, result, "no_show")

    def stored(self, booking: ModelBooking) -> Booking:
        return queries.booking_by_reference(booking.reference)

    def answer(self, booking: ModelBooking, event: str) -> None:
        move = Move.ACCEPT if event == "accepted" else Move.DECLINE
        result = transitions.make_move(
            self.stored(booking), move, by=Actor.THERAPIST, via=Via.LINK, now=self.model.now
        )
        self.compare(booking, result, event)

    def withdraw(self, booking: ModelBooking) -> None:
        result = transitions.make_move(
            self.stored(booking), Move.WITHDRAW, by=Actor.CLIENT, via=Via.LINK, now=self.model.now
        )
        self.compare(booking, result, "withdrawn")

    def cancel(self, booking: ModelBooking, by: Actor) -> None:
        is_withdrawal = by is Actor.CLIENT and booking.status == "requested"
        event = "withdrawn" if is_withdrawal else f"cancelled_by_{by}"
        result = cancel.cancel(self.stored(booking), by=by, via=Via.LINK, now=self.model.now)
        self.compare(booking, result, event)

    def compare(self, booking: ModelBooking, result: MoveResult, event: str) -> None:
        """The move was made if the model allows it; then the model makes it too."""
        is_allowed = booking.allows(event, self.model.now)
        assert (result.verdict == "allowed") == is_allowed
        self.is_swept = False
        if is_allowed:
            self.model.add(booking, event, self.model.now)

    @rule(slug=st.sampled_from(list(FEES)), times=st.integers(1, 5))
    def keep_cancelling(self, slug: str, times: int) -> None:
        """Make a streak: book, accept and cancel one distant session after another."""
        at = self.model.now.replace(hour=16, minute=0, second=0, microsecond=0) + 7 * DAY
        for _ in range(times):
            wanted = ModelBooking(slug, DEE[1], False, self.model.now, at)
            if self.request(wanted, DEE):
                self.answer(wanted, "accepted")
                self.cancel(wanted, Actor.THERAPIST)

    @rule(minutes=st.sampled_from([10, 50, 60, 180, 181, 600, 1430, 1440, 2880]))
    def wait(self, minutes: int) -> None:
        self.move_to(self.model.now + timedelta(minutes=minutes))

    @precondition(has_bookings)
    @rule(data=st.data(), what=st.sampled_from(["start", "end", "done", "expiry", "day before"]))
    def wait_for(self, data: st.DataObject, what: str) -> None:
        """Rules break at boundaries, and waiting alone seldom stops at one."""
        booking = self.any_booking(data)
        instant = {
            "start": booking.starts_at,
            "end": booking.ends_at,
            "done": booking.completes_at,
            "expiry": booking.expires_at,
            "day before": booking.starts_at - DAY,
        }[what]
        if instant > self.model.now:
            self.move_to(instant)

    @rule(slug=st.sampled_from(list(FEES)))
    def reactivate(self, slug: str) -> None:
        # Only at odd hours, or no account would stay deactivated for long.
        if slug in self.model.deactivated and self.model.now.hour % 2:
            assert standing.reactivate(slug, self.model.now)
            self.model.reactivate(slug)
            self.is_swept = False

    @rule()
    def sweep(self) -> None:
        for job in JOBS:
            assert total(job(self.model.now)).failed == 0
        self.model.sweep()
        self.is_swept = True

    def written(self, events: list[tuple[str, datetime]], booking: ModelBooking) -> ModelBooking:
        """The model's booking as far as the database has it: moves of the clock may be missing."""
        assert events == booking.events[: len(events)]
        missing = booking.events[len(events) :]
        assert not (missing and self.is_swept)
        assert {name for name, _ in missing} <= {"expired", "completed"}
        return replace(booking, events=events)

    @invariant()
    def bookings_and_ledger_are_those_of_the_model(self) -> None:
        events = defaultdict[int, list[tuple[str, datetime]]](list)
        for line in TimelineEntry.select().order_by(TimelineEntry.id):
            events[line.booking_id].append((line.event, line.at))
        sums = defaultdict[int, Counter[str]](Counter)
        for line in LedgerLine.select():
            sums[line.booking_id][line.account] += line.amount_minor
        stored = {booking.reference: booking for booking in Booking.select()}
        assert len(stored) == len(self.model.bookings)
        for each in self.model.bookings:
            booking = stored[each.reference]
            expected = self.written(events[booking.id], each)
            assert booking.status == expected.status
            assert booking.uses_free_consultation == expected.uses_free
            assert (booking.answered_at, booking.ended_at) == (
                expected.answered_at,
                expected.ended_at,
            )
            assert sums[booking.id] == expected.balances(0 if each.is_free else FEES[each.slug])
            assert sums[booking.id].total() == 0

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
    def standings_are_those_of_the_model(self) -> None:
        # A completion that is not stored yet has not reset its streak either.
        is_due = (Booking.status == "accepted") & (Booking.completes_at <= self.model.now)
        unwritten = {booking.therapist_id for booking in Booking.select().where(is_due)}
        for row in Therapist.select():
            expected = self.model.standing(row.slug)
            if row.id not in unwritten:
                assert row.streak == expected.streak
            if self.is_swept:
                assert row.is_deactivated == (row.slug in self.model.deactivated)
                assert row.is_flagged == expected.is_flagged

    @invariant()
    def scores_are_those_of_the_model(self) -> None:
        if not self.is_swept:
            return
        for row in Therapist.select():
            assert row.score == pytest.approx(self.model.score(row.slug), abs=1e-9)
        is_listed = {row.slug for row in queries.listed_therapists(self.model.now)}
        assert is_listed == set(FEES) - self.model.deactivated

    def ranking_keeps_its_promises(self) -> None:
        """A later answer is never better, no never better than yes, silence never than either."""
        answered = [each for each in self.model.bookings if each.answered_at and each.handed_over]
        for each in answered[-6:]:
            booking = self.stored(each)
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

    def score_if(self, booking: Booking, changes: dict[str, object]) -> Fraction:
        """The score of the booking's therapist if it had gone another way; rolled back."""
        with database.db.atomic() as transaction:
            Booking.update(changes).where(Booking.id == booking.id).execute()
            score = ranking.compute(booking.therapist, self.model.now).score
            transaction.rollback()
        return score

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        assert list(replay.find_differences(self.model.now)) == []
        self.sweep()
        self.scores_are_those_of_the_model()
        self.bookings_and_ledger_are_those_of_the_model()
        assert list(replay.find_differences(self.model.now)) == []
        self.ranking_keeps_its_promises()


def test_any_life_of_many_bookings_keeps_every_rule(app: Flask, at: Any, time_machine: Any) -> None:
    is_sqlite = database.is_sqlite()
    if is_sqlite:
        # Nothing crashes here, and more lives fit into a run.
        database.db.execute_sql("PRAGMA synchronous=OFF")
    BookingLives.time_machine = time_machine
    run_state_machine_as_test(
        BookingLives,
        settings=settings(
            max_examples=runs(8, 1000) if is_sqlite else runs(4, 300),
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
