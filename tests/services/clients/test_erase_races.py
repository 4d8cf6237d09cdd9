"""Erasing a client while another thread writes: one comes before the other, never between."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from app import clock
from app.errors import InvalidFields, MessagesEnded, NotFound
from app.rules.lifecycle import LIVE, Actor, Via
from app.services.bookings import messages, replace
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.store.db import database
from app.store.db.database import in_transaction
from app.store.models import Booking, Client, Writing
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.story import DEE, Story

pytestmark = pytest.mark.both_databases

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ERASING = runs(15, 300)


def in_thread(act: Callable[[], object], failures: list[BaseException]) -> threading.Thread:
    """Start a thread with its own connection; what it raises is added to `failures`."""

    def run() -> None:
        try:
            with database.connection():
                act()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def somebody_waits() -> bool:
    """Whether a transaction waits for a lock; with SQLite all but one always do."""
    if database.is_sqlite():
        return True
    found = database.db.execute_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return bool(found[0])


def past(story: Story) -> Booking:
    """A declined enquiry of Dee, so that she is known and can be erased."""
    booking = story.ask()
    story.decline(booking)
    return booking


def live_and_erased() -> list[str]:
    live = Booking.select(Booking, Client).join(Client).where(Booking.status.in_(LIVE))
    return [booking.reference for booking in live if booking.client.is_erased]


def test_a_client_who_is_requesting_a_session_is_not_erased(story: Story) -> None:
    past(story)
    failures: list[BaseException] = []

    @in_transaction
    def ask() -> threading.Thread:
        story.ask("bran", starts_at=story.now + DAY + 7 * HOUR)
        erasing = in_thread(lambda: erase_client(DEE[1], story.now), failures)
        until("a connection to wait for a lock", somebody_waits)
        return erasing

    ask().join()
    assert [type(failure) for failure in failures] == [InvalidFields]
    assert live_and_erased() == []
    assert {each["name"] for each in export_client(DEE[1], clock.now())["bookings"]} == {DEE[0]}


def test_a_client_who_requests_while_being_erased_returns_as_a_new_client(story: Story) -> None:
    old = past(story)
    failures: list[BaseException] = []

    @in_transaction
    def erase() -> threading.Thread:
        erase_client(DEE[1], story.now)
        asking = in_thread(
            lambda: story.ask("bran", starts_at=story.now + DAY + 7 * HOUR), failures
        )
        until("a connection to wait for a lock", somebody_waits)
        return asking

    erase().join()
    assert failures == []
    assert live_and_erased() == []
    assert story.reload(old).client.is_erased
    assert len(export_client(DEE[1], clock.now())["bookings"]) == 1


def test_a_client_is_erased_once(story: Story) -> None:
    past(story)
    failures: list[BaseException] = []

    @in_transaction
    def erase() -> threading.Thread:
        erase_client(DEE[1], story.now)
        other = in_thread(lambda: erase_client(DEE[1], story.now), failures)
        until("a connection to wait for a lock", somebody_waits)
        return other

    erase().join()
    assert [type(failure) for failure in failures] == [NotFound]


def test_a_message_written_at_that_moment_is_erased_too(story: Story) -> None:
    booking = past(story)
    failures: list[BaseException] = []

    @in_transaction
    def write() -> threading.Thread:
        messages.keep_private_note(booking, "about Dee", now=story.now)
        erasing = in_thread(lambda: erase_client(DEE[1], story.now), failures)
        until("a connection to wait for a lock", somebody_waits)
        return erasing

    write().join()
    assert failures == []
    assert Writing.select().count() == 0


def test_a_page_opened_before_the_erasure_does_nothing_after_it(
    story: Story,
) -> None:
    booking = past(story)
    erase_client(DEE[1], story.now)
    at = story.now + DAY + 7 * HOUR
    with pytest.raises(NotFound):
        replace.choose_another(booking, "bran", at, via=Via.LINK, now=story.now)
    with pytest.raises(MessagesEnded):
        messages.send(booking, "I am Dee", author=Actor.CLIENT, now=story.now)
    assert Booking.select().count() == 1
    assert Writing.select().count() == 0


def test_an_erased_client_never_has_a_live_booking(
    story: Story,
) -> None:
    failures: list[BaseException] = []
    past(story)
    for number in range(ERASING):
        ready = threading.Barrier(2)

        def erase(ready: threading.Barrier = ready) -> None:
            ready.wait(PATIENCE_S)
            erase_client(DEE[1], story.now)

        def ask(ready: threading.Barrier = ready) -> None:
            ready.wait(PATIENCE_S)
            story.ask("bran", starts_at=story.now + DAY + 7 * HOUR)

        threads = [in_thread(act, failures) for act in (erase, ask)]
        for thread in threads:
            thread.join()
        assert live_and_erased() == [], number
        assert {type(failure) for failure in failures} <= {InvalidFields}, failures
        (asked,) = Booking.select().where(Booking.status.in_(LIVE))
        story.withdraw(asked)
