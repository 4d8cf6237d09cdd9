"""The API for therapists and their open times, on both databases."""

from typing import Any

import pytest

from app.services.therapists import accounts
from app.store.models import Therapist
from tests.harness.api_calls import TUESDAY_10, Call, assert_problem, wanted, z
from tests.scenarios.cast import MONDAY


def test_listed_therapists_come_best_first(call: Call, at: Any) -> None:
    Therapist.update(score=87.35).where(Therapist.slug == "bran").execute()
    Therapist.update(score=50.0).where(Therapist.slug == "asha").execute()
    accounts.hide("asha", on=True)
    listed = call("GET", "therapists").get_json()
    assert [each["slug"] for each in listed] == ["chi", "bran"]
    assert listed[1] == {
        "slug": "bran",
        "name": "Bran Cole",
        "score": 87.4,
        "rate": {"amount": 8000, "currency": "GBP"},
        "free_consultation": True,
    }


def test_a_therapist_is_shown_with_account_standing_and_ranking(call: Call) -> None:
    accounts.hide("asha", on=True)
    Therapist.update(streak=4, flagged_at=MONDAY).where(Therapist.slug == "asha").execute()
    shown = call("GET", "therapists/asha").get_json()
    assert (shown["account"], shown["flagged"], shown["streak"]) == ("hidden", True, 4)
    assert [(factor["name"], factor["value"]) for factor in shown["ranking"]] == [
        ("responsiveness", 1.0),
        ("acceptance", 1.0),
        ("standing", 0.5),
    ]
    assert "flagged" in shown["ranking"][2]["explanation"]
    assert "lifts the flag" in shown["ranking"][2]["how_to_improve"]


def test_the_old_names_of_a_factors_texts_are_sent_for_one_more_release(call: Call) -> None:
    for factor in call("GET", "therapists/asha").get_json()["ranking"]:
        assert factor["what_moved_it"] == factor["explanation"]
        assert factor["what_would_mend_it"] == factor["how_to_improve"]


@pytest.mark.parametrize("state", ["hidden", "paused", "deactivated"])
def test_only_a_therapist_who_takes_bookings_has_open_times(call: Call, state: str) -> None:
    changes = {"hidden": {"is_hidden": True}, "paused": {"is_paused": True}}
    Therapist.update(changes.get(state, {"deactivated_at": MONDAY})).execute()
    starts = call("GET", "therapists/asha/slots").get_json()
    assert bool(starts) is (state == "hidden")
    assert call("GET", "therapists/asha").get_json()["account"] == state
    booked = call("POST", "bookings", wanted())
    if state == "hidden":
        assert booked.status_code == 201
    else:
        assert_problem(booked, 409, "therapist_unavailable")


def test_open_times_are_those_of_the_utc_days_asked_for(call: Call) -> None:
    starts = call("GET", "therapists/chi/slots?from=2026-11-03&days=1&kind=paid").get_json()
    # Nine to five on Lord Howe, eleven hours ahead: the rest of its 3rd, the first of its 4th.
    assert (starts[0], starts[-1]) == ("2026-11-03T00:00:00Z", "2026-11-03T23:30:00Z")
    free = call("GET", "therapists/chi/slots?from=2026-11-03&days=1&kind=free_consultation")
    assert len(free.get_json()) > len(starts)


def test_open_times_begin_today_for_two_weeks_and_leave_out_what_is_held(
    call: Call, ask: Call
) -> None:
    starts = call("GET", "therapists/asha/slots").get_json()
    assert (starts[0], starts[-1]) == ("2026-11-02T13:00:00Z", "2026-11-15T16:00:00Z")
    assert z(TUESDAY_10) in starts
    ask()
    assert z(TUESDAY_10) not in call("GET", "therapists/asha/slots").get_json()
    assert call("GET", "therapists/asha/slots?from=2999-12-31&days=62").get_json() == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=tomorrow", "from"), ("from=20261103", "from"), ("from=2026-02-30", "from"),
        ("from=1700000000", "from"), ("from=9999-12-31", "from"), ("from=", "from"),
        ("days=0", "days"), ("days=63", "days"), ("days=1.0", "days"), ("days=", "days"),
        ("kind=gratis", "kind"), ("zone=UTC", "zone"),
        ("days=7&days=8", "days"), ("kind=paid&kind=paid", "kind"),
    ],
)  # fmt: skip
def test_a_bad_question_for_open_times_is_refused_by_name(
    call: Call, query: str, field: str
) -> None:
    assert_problem(call("GET", f"therapists/asha/slots?{query}"), 422, "invalid_fields", field)
