"""Random moves of times, answers and cancellations in a week that changes its clocks.

An independent model says what each booking must be: its time, its status, who pays, what is held.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

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

from app.errors import InvalidFields, SlotTaken, TimeMoveRefused
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services.bookings import cancel, propose, request, transitions
from app.services.ops import replay
from app.store import queries
from app.store.db import database
from app.store.models import TABLES, Booking, HeldTime, Therapist
from tests.harness.soak import runs
from tests.scenarios.cast import therapist
from tests.scenarios.story import DEE, ELI, JOBS, total

pytestmark = pytest.mark.both_databases

HOUR, DAY, QUARTER = timedelta(hours=1), timedelta(days=1), timedelta(minutes=15)
LENGTH = timedelta(minutes=50)
LONDON = ZoneInfo("Europe/London")
# The clocks in London go back on Sunday morning.
FRIDAY = datetime(2026, 10, 23, 8, tzinfo=UTC)
FEE, PAYOUT = 6000, 5400
CLIENT, THERAPIST = "client", "therapist"


def cells(start: datetime) -> set[datetime]:
    return {start + number * QUARTER for number in range(4)}


@dataclass
class Offer:
    by: str
    starts: list[datetime]
    until: datetime
    was_free: bool


@dataclass
class Life:
    """One booking by the words of the contract."""

    reference: str
    start: datetime
    expires: datetime
    status: str = "requested"
    offer: Offer | None = None
    has_suggested: bool = False
    has_asked: bool = False
    moves: int = 0
    is_moved_late: bool = False
    free_until: datetime | None = None
    is_paid: bool = False

    @property
    def is_live(self) -> bool:
        return self.status in ("requested", "accepted")

    def is_free(self, now: datetime) -> bool:
        if self.free_until is not None and now <= self.free_until:
            return True
        return self.is_in_time(now)

    def is_in_time(self, now: datetime) -> bool:
        return not self.is_moved_late and now < self.start - DAY

    def held(self) -> set[datetime]:
        if not self.is_live:
            return set()
        offered = set().union(*map(cells, self.offer.starts)) if self.offer else set()
        return cells(self.start) | offered

    def end(self, status: str, *, is_paid: bool = False) -> None:
        self.status, self.is_paid, self.offer = status, is_paid, None


@dataclass
class Model:
    now: datetime
    lives: list[Life] = field(default_factory=list)
    streak: int = 0

    def is_open(self, start: datetime, notice: timedelta, life: Life | None = None) -> bool:
        local, others = start.astimezone(LONDON), [each for each in self.lives if each is not life]
        is_listed = 9 <= local.hour < 16 and local.minute in (0, 30)
        held = set().union(*(each.held() for each in others)) if others else set()
        return is_listed and start - self.now >= notice and not held & cells(start)

    def pass_to(self, now: datetime) -> None:
        """What the jobs find when they run at `now`."""
        self.now = now
        for life in self.lives:
            if life.status == "requested" and now >= life.expires:
                life.end("expired")
            if life.status == "accepted" and life.offer and now >= life.offer.until:
                self.refuse(life, life.offer)
            if life.status == "accepted" and now >= life.start + HOUR:
                life.end("completed", is_paid=True)
                self.streak = 0

    def refuse(self, life: Life, offer: Offer) -> None:
        life.offer = None
        if offer.by == CLIENT and offer.was_free:
            life.free_until = self.now + HOUR

    def may_propose(self, life: Life, by: str) -> bool:
        if not life.is_live or life.offer or (life.status == "accepted" and self.now >= life.start):
            return False
        if by == CLIENT:
            return life.status == "accepted" or life.moves < 2
        return not (life.has_suggested if life.status == "requested" else life.has_asked)

    def propose(self, life: Life, by: str, starts: list[datetime]) -> None:
        last = max(starts) - 4 * HOUR
        if life.status == "requested" and by == CLIENT:
            self.move(life, starts[0])
            life.expires = min(self.now + DAY, life.start)
        elif life.status == "requested":
            life.has_suggested = True
            life.expires = min(self.now + DAY, last)
            life.offer = Offer(by, starts, life.expires, was_free=True)
        else:
            life.has_asked = life.has_asked or by == THERAPIST
            span = 3 * HOUR if by == CLIENT else DAY
            until = min(self.now + span, last, life.start)
            life.offer = Offer(by, starts, until, was_free=life.is_in_time(self.now))

    def move(self, life: Life, start: datetime) -> None:
        life.start, life.moves, life.free_until = start, life.moves + 1, None

    def may_take(self, life: Life, by: str, start: datetime) -> bool:
        offer = life.offer
        is_theirs = offer is not None and offer.by != by and start in offer.starts
        return is_theirs and start - self.now >= 4 * HOUR

    def take(self, life: Life, start: datetime, *, is_waived: bool) -> None:
        offer = life.offer
        assert offer is not None
        if life.status == "accepted":
            is_late = offer.by == CLIENT and not offer.was_free
            keeps = is_late or (life.is_moved_late and offer.by == CLIENT)
            life.is_moved_late = keeps and not is_waived
        life.status, life.offer = "accepted", None
        self.move(life, start)

    def may_keep(self, life: Life, by: str) -> bool:
        if life.offer is None:
            return False
        is_own = life.offer.by == by
        return life.status == "accepted" if is_own else self.now < life.start

    def keep(self, life: Life, by: str) -> None:
        offer = life.offer
        assert offer is not None
        if life.status == "requested":
            life.offer, life.expires = None, min(self.now + DAY, life.start)
        elif offer.by == by:
            life.offer = None
        else:
            self.refuse(life, offer)

    def cancel(self, life: Life, by: str) -> bool:
        """Whether it was possible."""
        if by == CLIENT and life.status == "requested":
            life.end("withdrawn")
            return True
        if life.status != "accepted" or self.now >= life.start:
            return False
        if by == THERAPIST or (life.offer and life.offer.by == THERAPIST):
            life.end("cancelled_by_therapist")
            self.streak += 1
        else:
            life.end("cancelled_by_client", is_paid=not life.is_free(self.now))
        return True


class Moves(RuleBasedStateMachine):
    time_machine: Any

    @initialize()
    def begin(self) -> None:
        with database.db.atomic():
            for table in reversed(TABLES):
                table.delete().execute()
        self.model = Model(FRIDAY)
        self.time_machine.move_to(FRIDAY, tick=False)
        therapist("Asha Rao", "Europe/London", FEE)

    def at(self, day: int, half_hour: int) -> datetime:
        local = self.model.now.astimezone(LONDON).replace(tzinfo=None)
        morning = local.replace(hour=9, minute=0, second=0, microsecond=0)
        chosen = morning + timedelta(days=day, minutes=30 * half_hour)
        return chosen.replace(tzinfo=LONDON).astimezone(UTC)

    @rule(
        client=st.sampled_from([DEE, ELI]),
        day=st.integers(0, 3),
        half_hour=st.integers(0, 5),
        is_accepted=st.booleans(),
    )
    def ask(
        self, client: tuple[str, str, str], day: int, half_hour: int, is_accepted: bool
    ) -> None:
        start = self.at(day, half_hour)
        wanted = request.BookingRequest("asha", *client, start, Kind.PAID)
        is_open = self.model.is_open(start, 4 * HOUR)
        try:
            booking = request.request_booking(wanted, via=Via.API, now=self.model.now)
        except (SlotTaken, InvalidFields):
            assert not is_open
            return
        assert is_open
        life = Life(booking.reference, start, min(self.model.now + DAY, start))
        self.model.lives.append(life)
        if is_accepted:
            self.answer(life, Move.ACCEPT)

    def any_life(self, data: st.DataObject) -> Life:
        live = [each for each in self.model.lives if each.is_live]
        chosen: Life = data.draw(st.sampled_from(live or self.model.lives))
        return chosen

    def has_lives(self) -> bool:
        return bool(self.model.lives)

    @precondition(has_lives)
    @rule(data=st.data(), move=st.sampled_from([Move.ACCEPT, Move.DECLINE]))
    def answer_any(self, data: st.DataObject, move: Move) -> None:
        self.answer(self.any_life(data), move)

    def answer(self, life: Life, move: Move) -> None:
        is_possible = life.status == "requested" and (
            move is Move.DECLINE or self.model.now < life.start
        )
        result = transitions.make_move(
            self.stored(life), move, by=Actor.THERAPIST, via=Via.LINK, now=self.model.now
        )
        assert (result.verdict == "allowed") == is_possible
        if is_possible and move is Move.ACCEPT:
            life.status, life.offer = "accepted", None
        elif is_possible:
            life.end("declined")

    @precondition(has_lives)
    @rule(
        data=st.data(),
        by=st.sampled_from([CLIENT, THERAPIST]),
        times=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=3),
    )
    def propose(self, data: st.DataObject, by: str, times: list[tuple[int, int]]) -> None:
        life, now = self.any_life(data), self.model.now
        starts = sorted({self.at(*each) for each in times})
        most = 1 if by == CLIENT and life.status == "requested" else 3
        is_open = all(self.model.is_open(each, 8 * HOUR, life) for each in starts)
        is_good = is_open and life.start not in starts and len(starts) <= most
        is_possible = self.model.may_propose(life, by) and is_good
        offer = life.offer
        is_repeated = bool(offer and (offer.by, offer.starts) == (by, starts)) or (
            by == CLIENT
            and life.status == "requested"
            and life.moves > 0
            and starts == [life.start]
        )
        try:
            result = propose.propose(self.stored(life), starts, by=Actor(by), via=Via.LINK, now=now)
        except (TimeMoveRefused, SlotTaken, InvalidFields):
            assert not is_possible
            assert not is_repeated
            return
        assert result.is_new == is_possible
        if is_possible:
            self.model.propose(life, by, starts)

    @precondition(has_lives)
    @rule(data=st.data(), is_waived=st.booleans(), is_others=st.sampled_from([True, True, False]))
    def take(self, data: st.DataObject, is_waived: bool, is_others: bool) -> None:
        offered = [each for each in self.model.lives if each.offer]
        life = data.draw(st.sampled_from(offered)) if offered else self.any_life(data)
        starts = life.offer.starts if life.offer else [life.start]
        start = data.draw(st.sampled_from(starts))
        other = THERAPIST if life.offer and life.offer.by == CLIENT else CLIENT
        by = other if is_others else (CLIENT if other == THERAPIST else THERAPIST)
        is_waived = is_waived and by == THERAPIST
        is_possible = self.model.may_take(life, by, start)
        try:
            result = propose.take(
                self.stored(life),
                start,
                by=Actor(by),
                via=Via.LINK,
                now=self.model.now,
                waive_notice=is_waived,
            )
        except TimeMoveRefused:
            assert not is_possible
            return
        assert result.is_new == is_possible
        if is_possible:
            self.model.take(life, start, is_waived=is_waived)

    @precondition(has_lives)
    @rule(data=st.data(), by=st.sampled_from([CLIENT, THERAPIST]))
    def keep(self, data: st.DataObject, by: str) -> None:
        life = self.any_life(data)
        is_possible = self.model.may_keep(life, by)
        try:
            result = propose.keep(self.stored(life), by=Actor(by), via=Via.LINK, now=self.model.now)
        except TimeMoveRefused:
            assert not is_possible
            return
        assert result.is_new == is_possible
        if is_possible:
            self.model.keep(life, by)

    # A fifth cancellation would deactivate the account.
    @precondition(lambda self: self.model.lives and self.model.streak < 4)
    @rule(data=st.data(), by=st.sampled_from([CLIENT, CLIENT, THERAPIST]))
    def cancel(self, data: st.DataObject, by: str) -> None:
        life = self.any_life(data)
        result = cancel.cancel(self.stored(life), by=Actor(by), via=Via.LINK, now=self.model.now)
        assert (result.verdict == "allowed") == self.model.cancel(life, by)

    @rule(minutes=st.sampled_from([30, 60, 120, 180, 240, 600, 1380, 1440]))
    def wait(self, minutes: int) -> None:
        self.move_to(self.model.now + timedelta(minutes=minutes))

    @precondition(has_lives)
    @rule(data=st.data())
    def wait_for_a_boundary(self, data: st.DataObject) -> None:
        life = self.any_life(data)
        instants = [life.start, life.start - DAY, life.expires, life.start + HOUR]
        instants += [life.offer.until, life.start - 4 * HOUR] if life.offer else []
        at = data.draw(st.sampled_from(instants))
        if at > self.model.now:
            self.move_to(at)

    def move_to(self, now: datetime) -> None:
        self.time_machine.move_to(now, tick=False)
        for job in JOBS:
            assert total(job(now)).failed == 0, job.__name__
        self.model.pass_to(now)

    def stored(self, life: Life) -> Booking:
        return queries.booking_by_reference(life.reference)

    @invariant()
    def every_booking_is_that_of_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        for life in self.model.lives:
            booking = self.stored(life)
            found = propose.open_proposal(booking, self.model.now)
            offer = life.offer and (life.offer.by, life.offer.starts, life.offer.until)
            assert (booking.status, booking.starts_at) == (life.status, life.start)
            assert booking.ends_at == life.start + LENGTH
            assert (found and (found.by, found.starts, found.until)) == offer
            sums = {"therapist": 0}
            for line in booking.ledger:
                sums[line.account] = sums.get(line.account, 0) + line.amount_minor
            assert sum(sums.values()) == 0
            assert sums["therapist"] == (PAYOUT if life.is_paid else 0)
            assert sums["held"] == (FEE if life.is_live else 0)

    @invariant()
    def nothing_else_is_held_and_nothing_twice(self) -> None:
        if not hasattr(self, "model"):
            return
        held = [row.cell_at for row in HeldTime.select()]
        assert len(held) == len(set(held))
        assert set(held) == set().union(*(each.held() for each in self.model.lives))
        assert Therapist.get().streak == self.model.streak

    def teardown(self) -> None:
        if hasattr(self, "model"):
            assert list(replay.find_differences(self.model.now)) == []


def test_any_moves_of_times_keep_every_rule(app: Flask, at: Any, time_machine: Any) -> None:
    is_sqlite = database.is_sqlite()
    if is_sqlite:
        # Nothing crashes here, and more lives fit into a run.
        database.db.execute_sql("PRAGMA synchronous=OFF")
    Moves.time_machine = time_machine
    run_state_machine_as_test(
        Moves,
        settings=settings(
            max_examples=runs(12, 1000) if is_sqlite else runs(4, 300),
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
