"""Ops skips emails that wait, and never one that is being sent or was sent."""

from datetime import timedelta

import pytest

from app.errors import InvalidFields
from app.services.ops import outbox_skip
from app.store import claiming
from app.store.models import OutboxEmail, OutboxStatus
from tests.scenarios.story import ELI, Story


def emails() -> dict[int, OutboxStatus]:
    return {each.id: each.status for each in OutboxEmail.select()}


def test_a_skipped_email_is_never_sent_and_says_why(story: Story) -> None:
    story.ask()
    first, second = sorted(emails())
    assert outbox_skip.skip([first], story.now) == 1
    assert [kind for kind, _ in story.deliver()] == ["booking_received"]
    assert emails() == {first: OutboxStatus.SKIPPED, second: OutboxStatus.SENT}
    assert OutboxEmail.get_by_id(first).last_error == outbox_skip.REASON


@pytest.mark.both_databases
def test_naming_one_that_was_sent_or_is_unknown_skips_none(story: Story) -> None:
    story.ask()
    story.deliver()
    sent = min(emails())
    story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    waiting = max(emails())
    for other in (sent, 999):
        with pytest.raises(InvalidFields, match=f"{other} is not waiting"):
            outbox_skip.skip([waiting, other], story.now)
        assert emails()[waiting] is OutboxStatus.QUEUED


@pytest.mark.both_databases
def test_one_that_is_being_sent_is_refused_until_its_lease_has_run_out(story: Story) -> None:
    story.ask()
    claimed, _ = claiming.claim(story.now, 2)
    with pytest.raises(InvalidFields, match="not waiting"):
        outbox_skip.skip([claimed.email.id], story.now)
    assert outbox_skip.skip_due_before(story.now, story.now).skipped == 0
    story.wait(days=1)
    assert outbox_skip.skip([claimed.email.id], story.now) == 1
    assert not claiming.end_claim(claimed, OutboxStatus.SENT, now=story.now)


def test_all_that_were_due_before_an_instant_are_skipped_and_no_other(story: Story) -> None:
    story.ask()
    story.wait(minutes=5)
    crash = story.now
    story.ask(client=ELI, starts_at=story.now.replace(minute=0) + timedelta(hours=54))
    assert outbox_skip.skip_due_before(crash, story.now).skipped == 2
    assert {to for _, to in story.deliver()} == {ELI[1], "asha@therapists.example"}
    assert sorted(emails().values()) == ["sent", "sent", "skipped", "skipped"]
