"""The API keeps to its own description, whatever is thrown at it."""

import re
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import escape
from openapi_pydantic import OpenAPI

from app.web.api import reference
from app.web.api.problems import KINDS
from tests.harness.api_calls import KEY, caller, wanted
from tests.scenarios.cast import Cast

OPERATIONS = (
    "post /api/v1/bookings",
    "get /api/v1/bookings/{reference}",
    "post /api/v1/bookings/{reference}/cancel",
    "post /api/v1/bookings/{reference}/proposals",
    "post /api/v1/bookings/{reference}/proposals/take",
    "post /api/v1/bookings/{reference}/proposals/decline",
    "get /api/v1/therapists",
    "get /api/v1/therapists/{slug}",
    "get /api/v1/therapists/{slug}/slots",
)


@pytest.fixture
def described(app: Flask, cast: Cast) -> Any:
    """The API as it describes itself, with a therapist and a booking to read."""
    booked = caller(app)("POST", "bookings", wanted()).get_json()
    known = {"slug": "asha", "reference": booked["reference"]}
    # Imported here: it takes longer than most test files.
    import schemathesis

    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)

    # Unknown names would only lead to 404.
    @schema.hook
    def map_path_parameters(_context: Any, given: dict[str, Any] | None) -> Any:
        return {name: known[name] for name in given} if given else given

    @schema.hook
    def map_body(_context: Any, given: Any) -> Any:
        is_named = isinstance(given, dict) and isinstance(given.get("therapist"), str)
        return {**given, "therapist": "asha"} if is_named else given

    return schema


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_answer_is_one_that_the_description_promises(
    described: Any, operation: str, mode: str
) -> None:
    from schemathesis import Case, GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    expected = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
        checks.negative_data_rejection,
        checks.unsupported_method,
        checks.allow_header_conformance,
        checks.ignored_auth,
    ]
    method, path = operation.split()
    cases = described[path][method.upper()].as_strategy(generation_mode=GenerationMode(mode))

    @settings(
        max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=cases, is_plausible=st.booleans(), hour=st.integers(9, 15))
    def ask(case: Case, is_plausible: bool, hour: int) -> None:
        # Without this hardly a request would get as far as a booking.
        if is_plausible and mode == "positive" and path == "/api/v1/bookings":
            case.body = {**case.body, **wanted(starts_at=f"2026-11-04T{hour:02}:00:00Z")}
        case.call_and_validate(headers=KEY, checks=expected)

    ask()


def test_the_description_is_open_to_all_and_valid(app: Flask) -> None:
    answer = app.test_client().get("/api/openapi.json")
    assert answer.mimetype == "application/json"
    described = OpenAPI.model_validate(answer.get_json())
    assert set(described.paths or {}) == {operation.split()[1] for operation in OPERATIONS}


def test_the_old_names_of_a_factors_texts_are_described_as_deprecated(app: Flask) -> None:
    described = app.test_client().get("/api/openapi.json").get_json()
    factor = described["components"]["schemas"]["FactorOut"]["properties"]
    deprecated = {name for name, schema in factor.items() if schema.get("deprecated")}
    assert deprecated == {"what_moved_it", "what_would_mend_it"}


def test_the_type_of_every_problem_leads_somewhere(app: Flask) -> None:
    for code, (status, title) in KINDS.items():
        answer = app.test_client().get(f"/api/problems/{code}")
        assert answer.get_json() == {"code": code, "status": status, "title": title}
    assert app.test_client().get("/api/problems/nothing").status_code == 404


def test_people_can_read_the_description_without_a_key_or_a_script(app: Flask) -> None:
    described = app.test_client().get("/api/openapi.json").get_json()
    page = app.test_client().get("/api/reference")
    assert page.status_code == 200
    assert "<script" not in page.text
    for path, methods in described["paths"].items():
        for method, found in methods.items():
            assert f"{method.upper()} {path}" in page.text
            assert escape(found["summary"]) in page.text
            for each in found.get("parameters", ()):
                assert f"<code>{each['name']}</code>" in page.text
    for name, schema in described["components"]["schemas"].items():
        assert f'id="schema-{name}"' in page.text
        for field in schema.get("properties", {}):
            assert f"<code>{field}</code>" in page.text
    targets = set(re.findall(r'href="#([^"]+)"', page.text))
    assert targets <= set(re.findall(r'id="([^"]+)"', page.text))


def test_a_schema_is_named_in_a_few_words() -> None:
    kinds = {
        "list of string, or null": {
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]
        },
        "Money": {"$ref": "#/components/schemas/Money"},
        "paid | free": {"type": "string", "enum": ["paid", "free"]},
        "date-time": {"type": "string", "format": "date-time"},
    }
    assert {words: reference.kind_of(schema) for words, schema in kinds.items()} == {
        words: words for words in kinds
    }
