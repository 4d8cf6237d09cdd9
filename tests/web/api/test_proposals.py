"""Another time through the API: what it shows, the moves, and each refusal by its code."""

from datetime import timedelta
from typing import Any

import pytest

from app.store import queries
from tests.harness.api_calls import Call
from tests.scenarios.story import Story

WEDNESDAY, THURSDAY, FRIDAY = (f"2026-11-0{day}T10:00:00Z" for day in (4, 5, 6))


def status_and_body(response: Any) -> tuple[int, dict[str, Any]]:
    return response.status_code, response.json


@pytest.fixture
def reference(ask: Call) -> str:
    return str(ask(starts_at=WEDNESDAY).json["reference"])


def test_a_suggestion_is_shown_taken_and_then_gone(call: Call, reference: str) -> None:
    path = f"bookings/{reference}"
    assert call("GET", path).json["proposal"] is None
    proposed = call("POST", f"{path}/proposals", {"by": "therapist", "starts": [FRIDAY, THURSDAY]})
    assert proposed.status_code == 201
    assert proposed.json["proposal"] == {
        "by": "therapist", "starts": [THURSDAY, FRIDAY], "until": "2026-11-03T09:00:00Z",
    }  # fmt: skip
    assert proposed.json["expires_at"] == "2026-11-03T09:00:00Z"
    assert call("GET", path).json["proposal"] == proposed.json["proposal"]
    taken = call("POST", f"{path}/proposals/take", {"by": "client", "starts_at": FRIDAY})
    assert taken.status_code == 200
    assert (taken.json["status"], taken.json["starts_at"]) == ("accepted", FRIDAY)
    assert taken.json["proposal"] is None
    assert [line["event"] for line in taken.json["timeline"]] == [
        "requested", "proposed", "moved", "accepted",
    ]  # fmt: skip


def test_declining_keeps_the_old_time(call: Call, reference: str) -> None:
    path = f"bookings/{reference}/proposals"
    call("POST", path, {"by": "therapist", "starts": [THURSDAY]})
    kept = call("POST", f"{path}/decline", {"by": "client"})
    assert kept.status_code == 200
    assert (kept.json["status"], kept.json["starts_at"]) == ("requested", WEDNESDAY)
    assert kept.json["timeline"][-1]["event"] == "proposal_declined"
    assert call("POST", f"{path}/decline", {"by": "client"}).status_code == 200


def test_a_clients_enquiry_moves_at_once_and_a_session_waits_for_the_therapist(
    call: Call, reference: str, story: Story
) -> None:
    path = f"bookings/{reference}/proposals"
    moved = call("POST", path, {"by": "client", "starts": [THURSDAY]})
    assert moved.status_code == 201
    assert (moved.json["starts_at"], moved.json["proposal"]) == (THURSDAY, None)
    story.accept(queries.booking_by_reference(reference))
    asked = call("POST", path, {"by": "client", "starts": [FRIDAY]})
    assert asked.json["starts_at"] == THURSDAY
    assert asked.json["proposal"]["by"] == "client"
    agreed = call(
        "POST", f"{path}/take", {"by": "therapist", "starts_at": FRIDAY, "waive_notice": True}
    )
    assert (agreed.status_code, agreed.json["starts_at"]) == (200, FRIDAY)


def test_each_refusal_has_its_code(call: Call, ask: Call, reference: str, story: Story) -> None:
    path = f"bookings/{reference}/proposals"
    taken = ask(starts_at=THURSDAY, client={
        "name": "Eli", "email": "eli@clients.example", "timezone": "Europe/London",
    })  # fmt: skip
    assert taken.status_code == 201

    def refused(method_path: str, body: dict[str, Any]) -> tuple[int, str]:
        answer = call("POST", method_path, body)
        return answer.status_code, answer.json["code"]

    offer = {"by": "therapist", "starts": [FRIDAY]}
    assert refused(f"{path}/take", {"by": "client", "starts_at": FRIDAY}) == (409, "no_proposal")
    assert refused(f"{path}/decline", {"by": "client"}) == (409, "no_proposal")
    assert refused(path, {"by": "therapist", "starts": [THURSDAY]}) == (409, "slot_taken")
    assert call("POST", path, offer).status_code == 201
    assert call("POST", path, offer).status_code == 201
    assert refused(path, {"by": "client", "starts": [FRIDAY]}) == (409, "proposal_open")
    assert refused(f"{path}/take", {"by": "therapist", "starts_at": FRIDAY}) == (
        409, "move_not_allowed",
    )  # fmt: skip
    assert refused(f"{path}/take", {"by": "client", "starts_at": THURSDAY}) == (
        422, "invalid_fields",
    )  # fmt: skip
    story.at(story.now + timedelta(hours=24))
    answer = call("POST", f"{path}/take", {"by": "client", "starts_at": FRIDAY})
    assert (answer.status_code, answer.json["code"]) == (409, "move_not_allowed")
    assert answer.json["booking"]["status"] == "expired"


def test_a_wrong_start_is_named_before_what_the_booking_refuses(call: Call, reference: str) -> None:
    path = f"bookings/{reference}/proposals"
    past, offered = "2026-11-01T10:00:00Z", {"by": "therapist", "starts": [FRIDAY]}
    assert call("POST", path, offered).status_code == 201
    assert call("POST", path, {"by": "therapist", "starts": [past]}).status_code == 422
    assert call("POST", path, {"by": "client", "starts": [past]}).status_code == 422
    not_offered = {"by": "therapist", "starts_at": THURSDAY}
    assert call("POST", f"{path}/take", not_offered).status_code == 422
    call("POST", f"bookings/{reference}/cancel", {"by": "client"})
    assert call("POST", path, {"by": "therapist", "starts": [past]}).status_code == 422
    assert call("POST", path, offered).json["code"] == "move_not_allowed"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"by": "ops"}, "by"),
        ({"starts": []}, "starts"),
        ({"starts": [FRIDAY] * 4}, "starts"),
        ({"starts": ["tomorrow"]}, "starts.0"),
        ({"starts": ["2026-11-06T10:07:00Z"]}, "starts"),
        ({"starts": ["2026-11-02T16:00:00Z"]}, "starts"),
        ({"note": "x"}, "note"),
    ],
)
def test_a_bad_field_is_named(call: Call, reference: str, more: dict[str, Any], field: str) -> None:
    body = {"by": "therapist", "starts": [FRIDAY], **more}
    status, answer = status_and_body(call("POST", f"bookings/{reference}/proposals", body))
    assert status == 422
    assert [each["field"] for each in answer["errors"]] == [field]
