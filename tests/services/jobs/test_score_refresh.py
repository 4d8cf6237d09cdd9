"""Scores are computed without a lock, for a limited time in each run."""

from datetime import timedelta

import pytest

from app.services.jobs import due
from app.services.therapists import ranking
from app.store import queries
from app.store.models import Therapist
from tests.scenarios.story import Story, total

pytestmark = pytest.mark.both_databases


def all_due(story: Story) -> list[str]:
    found = Therapist.select().where(Therapist.ranking_due_at <= story.now)
    return [each.slug for each in found.order_by(Therapist.ranking_due_at)]


def test_what_changes_while_a_score_is_computed_counts_in_the_next_run(story: Story) -> None:
    booking = story.ask()
    story.sent()
    asha = queries.therapist_by_slug("asha")
    store = ranking.prepare_refresh(asha.id, story.now)
    story.wait(minutes=1)
    story.decline(booking)
    assert not store()
    assert all_due(story) == ["asha"]
    total(due.apply_standing(story.now))
    asha = queries.therapist_by_slug("asha")
    assert asha.score == float(ranking.compute(asha, story.now).score)
    assert asha.ranked_at == story.now
    assert all_due(story) == []


def test_a_run_ends_when_its_time_is_up_and_the_next_goes_on_with_the_most_overdue(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours, slug in enumerate(("chi", "asha", "bran"), 1):
        since = story.now - timedelta(hours=4 - hours)
        Therapist.update(ranking_due_at=since).where(Therapist.slug == slug).execute()
    monkeypatch.setattr(due, "RANKING_S", -1.0)
    for left in (["asha", "bran"], ["bran"], []):
        total(due.apply_standing(story.now))
        assert all_due(story) == left
