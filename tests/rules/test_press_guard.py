"""Which presses act at once and which are asked about: a table of visits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.press_guard import Doubt, Opening, Press, Span, doubt_of

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def opened(link: str, first: float, last: float | None = None, times: int = 1) -> Opening:
    """A link opened so many seconds ago, and perhaps again."""
    last = first if last is None else last
    return Opening(ago(first), ago(last), link=link, acts=link != "session", times=times)


CASES = [
    ("an hour after the email, read for ten seconds", 10, 3600, [], None),
    ("two minutes after the email", 10, 120, [], None),
    ("within two minutes of the email", 10, 119.9, [], Doubt.TOO_EARLY),
    ("its link was opened at the arrival and again", 10, 120, [opened("accept", 110, 10)], None),
    ("and its page stayed open since", 110, 120, [opened("accept", 110)], None),
    ("or not until two minutes", 110, 119.9, [opened("accept", 110)], Doubt.TOO_EARLY),
    ("while the email is still being handed over", 10, None, [], Doubt.TOO_EARLY),
    ("a page read for one and a half seconds", 1.5, 3600, [], None),
    ("a page read for less", 1.49, 3600, [], Doubt.TOO_QUICK),
    ("a page of the future: the clock was set back", -5, 3600, [], Doubt.TOO_QUICK),
    ("a form without its moment", None, 3600, [], Doubt.UNMARKED),
    ("one link opened twice at once", 10, 3600, [opened("accept", 60), opened("accept", 60)], None),
    (
        "two links opened within ten seconds",
        10,
        3600,
        [opened("accept", 3000), opened("decline", 2990.1)],
        Doubt.OPENED_TOGETHER,
    ),
    (
        "two links opened ten seconds apart",
        10,
        3600,
        [opened("accept", 3000), opened("decline", 2990)],
        None,
    ),
    (
        "a link that acts and one that does not",
        10,
        3600,
        [opened("accept", 3000), opened("session", 3000)],
        None,
    ),
    (
        "one link opened again and again while the other was",
        10,
        3600,
        [opened("accept", 3000, 2950), opened("decline", 2980)],
        Doubt.OPENED_TOGETHER,
    ),
]


@pytest.mark.parametrize(
    ("shown", "handed_over", "openings", "doubt"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_press_acts_only_where_nothing_speaks_for_a_program(
    shown: float | None, handed_over: float | None, openings: list[Opening], doubt: Doubt | None
) -> None:
    press = Press(
        shown_at=None if shown is None else ago(shown),
        handed_over_at=None if handed_over is None else ago(handed_over),
        openings=openings,
    )
    assert doubt_of(press, NOW) is doubt


@pytest.mark.parametrize(
    ("handed_over", "asked", "openings", "doubt"),
    [
        (119.9, [30], [], Doubt.TOO_EARLY),
        (120, [59.9], [], Doubt.UNANSWERED),
        (120, [60], [], None),
        (300, [200, 150, 100, 50], [], Doubt.UNANSWERED),
        (300, [200, 140, 100, 50], [], None),
        (300, [200], [opened("accept", 150), opened("manage", 100, 50)], Doubt.UNANSWERED),
        (300, [200], [opened("accept", 130), opened("manage", 100, 50)], None),
        # Later than two minutes no question begins it.
        (300, [180, 50], [], None),
        (3600, [20], [], None),
    ],
)
def test_going_on_without_a_pause_after_a_question_is_no_answer_to_it(
    handed_over: float, asked: list[float], openings: list[Opening], doubt: Doubt | None
) -> None:
    spans = [Span(ago(each), ago(each)) for each in asked]
    press = Press(ago(10), handed_over_at=ago(handed_over), openings=openings, asked=spans)
    assert doubt_of(press, NOW) is doubt


@pytest.mark.parametrize(
    ("openings", "doubt"),
    [
        ([opened("suggest", 250, 20, times=8)], Doubt.OPENED_OFTEN),
        ([opened("suggest", 250, 70, times=7), opened("accept", 20)], Doubt.OPENED_OFTEN),
        ([opened("session", 250), opened("suggest", 200, 20, times=7)], Doubt.OPENED_OFTEN),
        # Fewer pages, a pause before this one, or nothing while the email was new.
        ([opened("suggest", 250, 20, times=7)], None),
        ([opened("suggest", 250, 80, times=8), opened("accept", 20)], None),
        ([opened("suggest", 180, 20, times=30)], None),
    ],
)
def test_many_pages_opened_since_the_email_arrived_are_a_program_s(
    openings: list[Opening], doubt: Doubt | None
) -> None:
    press = Press(ago(10), handed_over_at=ago(300), openings=openings)
    assert doubt_of(press, NOW) is doubt


@given(
    shown=st.none() | st.floats(-10, 1e6),
    handed_over=st.none() | st.floats(-10, 1e6),
    together=st.booleans(),
    asked=st.none() | st.floats(-10, 1e6),
)
def test_a_known_browser_is_never_asked_and_a_choice_that_was_read_acts(
    shown: float | None, handed_over: float | None, together: bool, asked: float | None
) -> None:
    press = {
        "shown_at": None if shown is None else ago(shown),
        "handed_over_at": None if handed_over is None else ago(handed_over),
        "openings": [opened("accept", 5), opened("decline", 5)] if together else [],
        "asked": [] if asked is None else [Span(ago(asked), ago(asked))],
    }
    assert doubt_of(Press(**press, is_known_browser=True), NOW) is None  # type: ignore[arg-type]
    was_read = shown is not None and NOW - ago(shown) >= timedelta(seconds=1.5)
    chosen = doubt_of(Press(**press, is_choice=True), NOW)  # type: ignore[arg-type]
    assert (chosen is None) is was_read
