"""The steps of a therapist's first day: which are done, and how they are stored."""

import pytest

from app.rules.first_steps import TO_CONFIRM, Step, filled_in, read_steps, write_steps


@pytest.mark.parametrize(
    ("has_hours", "url", "done"),
    [
        (False, None, set()),
        (False, "", set()),
        (True, None, {Step.HOURS}),
        (False, "https://meet.example", {Step.MEETING_LINK}),
        (True, "https://meet.example", {Step.HOURS, Step.MEETING_LINK}),
    ],
)
def test_a_step_is_done_once_the_account_has_what_it_asks_for(
    has_hours: bool, url: str | None, done: set[Step]
) -> None:
    assert filled_in(has_hours=has_hours, meeting_url=url) == done


def test_what_ops_enters_is_left_to_confirm() -> None:
    assert filled_in(has_hours=True, meeting_url="https://meet.example") | TO_CONFIRM == set(Step)


@pytest.mark.parametrize("done", [frozenset[Step](), frozenset({Step.RATE}), frozenset(Step)])
def test_what_is_written_is_read_back(done: frozenset[Step]) -> None:
    assert read_steps(write_steps(done)) == done
