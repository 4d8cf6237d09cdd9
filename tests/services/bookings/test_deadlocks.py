"""Deadlocks and waits between transactions, none of which a caller sees."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from flask import Flask

from app.services.clients.links import send_links
from app.services.jobs import batching, due
from app.store.db import database
from app.store.db.database import in_transaction
from app.store.models import Therapist
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import MONDAY, Cast
from tests.scenarios.story import ELI, Story, at_once, total

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_a_transaction_that_lost_a_deadlock_is_repeated(app: Flask, cast: Cast) -> None:
    first_locks_held = threading.Barrier(2)
    one_is_done = threading.Event()
    tries: list[str] = []

    @in_transaction
    def rename(name: str, one: str, other: str) -> None:
        tries.append(name)
        if tries.count(name) > 1:
            # The loser waits: it could otherwise lock a row again before the winner wakes up.
            one_is_done.wait(PATIENCE_S)
        Therapist.update(headline=name).where(Therapist.slug == one).execute()
        if tries.count(name) == 1:
            first_locks_held.wait(PATIENCE_S)
        Therapist.update(headline=name).where(Therapist.slug == other).execute()

    failures: list[BaseException] = []

    def run(*names: str) -> None:
        try:
            with database.connection():
                rename(*names)
            one_is_done.set()
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=("left", "asha", "bran")),
        threading.Thread(target=run, args=("right", "bran", "asha")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(tries) == 3
    headlines = {each.slug: each.headline for each in Therapist.select()}
    assert headlines["asha"] == headlines["bran"]


def test_sending_and_moves_do_not_deadlock(story: Story) -> None:
    bookings = [
        story.ask(starts_at=MONDAY.replace(hour=hour) + timedelta(days=days), client=ELI)
        for days in (1, 2, 3, 4)
        for hour in (9, 11, 13, 15)
    ]

    def withdraw_all() -> None:
        with database.connection():
            for booking in bookings:
                story.withdraw(booking)

    with ThreadPoolExecutor(1) as pool:
        withdrawing = pool.submit(withdraw_all)
        story.deliver()
        withdrawing.result()
    story.deliver()
    assert {story.reload(booking).status.value for booking in bookings} == {"withdrawn"}


def test_more_therapists_than_one_batch_are_done_in_one_run(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "BATCH", 1)
    now = cast.asha.created_at
    Therapist.update(streak=5, standing_due_at=now).execute()
    assert total(due.apply_standing(now)).done == 3
    assert Therapist.select().where(Therapist.deactivated_at.is_null(False)).count() == 3


def test_many_requests_for_one_clients_links_at_once_get_the_same_answer(story: Story) -> None:
    story.ask()
    send = partial(send_links, "dee@clients.example", story.now)
    assert at_once([send] * 8) == [None] * 8
    assert [kind for kind, _ in story.deliver()].count("your_links") == 1


def test_a_therapist_who_stays_locked_delays_no_other(story: Story, database_url: str) -> None:
    first, last = story.ask(), story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    other = story.ask("bran", client=ELI, starts_at=MONDAY.replace(hour=16) + timedelta(days=3))
    story.wait(hours=25)
    with psycopg.connect(database_url) as shell:
        shell.execute("SELECT 1 FROM therapist WHERE slug = 'asha' FOR UPDATE")
        run = total(due.expire_enquiries(story.now))
        assert (run.due, run.done, run.failed) == (3, 1, 0)
        assert story.reload(other).status == "expired"
        assert story.reload(first).status == "requested"
    assert total(due.expire_enquiries(story.now)).done == 2
    assert story.reload(last).status == "expired"
