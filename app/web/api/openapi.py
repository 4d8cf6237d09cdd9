"""The API's description in OpenAPI 3.1, written from the models that the API itself uses."""

from functools import cache
from typing import Any

from openapi_pydantic import OpenAPI
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class
from pydantic import BaseModel

from app.schemas import BookingDetail, BookingOut, Problem, TherapistDetail, TherapistOut
from app.web.api.input import BookingIn, CancelIn, SlotsIn
from app.web.api.problems import KINDS, MEDIA_TYPE

_ALWAYS = (400, 401, 429, 500, 503)
_ABOUT = (
    "Bookings of therapy sessions. Instants are RFC 3339 in UTC; money is in whole minor units."
    " A call that is refused gets problem details (RFC 9457); `code` names the reason. Of several"
    " reasons the first of 401, 404, 422, 409 is given. A body that is not a JSON object, or names"
    " no therapist, is 422."
)
_ONCE = (
    "1 to 255 visible ASCII characters. The same key with the same JSON gets the answer that was"
    " given first, be it 201 or 409, for at least two days; with other JSON it gets 422. A request"
    " refused with 404 or 422 leaves the key free."
)


@cache
def document(public_url: str) -> str:
    """The description of the API at `public_url`, as JSON."""
    described = construct_open_api_with_schema_class(
        OpenAPI.model_validate(
            {
                "openapi": "3.1.1",
                "info": {"title": "Mindsum Bookings", "version": "1", "description": _ABOUT},
                "servers": [{"url": public_url}],
                "security": [{"key": []}],
                "paths": _paths(),
                "components": {
                    "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
                },
            }
        )
    )
    return described.model_dump_json(by_alias=True, exclude_none=True)


def _paths() -> dict[str, Any]:
    return {
        "/api/v1/bookings": {"post": _request_booking()},
        "/api/v1/bookings/{reference}": {
            "get": _operation(
                "show_booking",
                "One booking, with its timeline and ledger",
                _json("The booking, as the clock has it", _ref(BookingDetail)),
                404,
                parameters=[_in_path("reference", "a booking's reference")],
            )
        },
        "/api/v1/bookings/{reference}/cancel": {"post": _cancel_booking()},
        "/api/v1/therapists": {
            "get": _operation(
                "list_therapists",
                "Therapists on Find a Therapist, best first",
                _json("The list", {"type": "array", "items": _ref(TherapistOut)}),
            )
        },
        "/api/v1/therapists/{slug}": {
            "get": _operation(
                "show_therapist",
                "One therapist, listed or not, with standing and ranking",
                _json("The therapist", _ref(TherapistDetail)),
                404,
                parameters=[_in_path("slug", "a therapist's slug")],
            )
        },
        "/api/v1/therapists/{slug}/slots": {"get": _list_slots()},
    }


def _request_booking() -> dict[str, Any]:
    created = _json("The enquiry, which holds its time", _ref(BookingOut))
    created["headers"] = {
        "Location": {"description": "The booking's address", "schema": {"type": "string"}}
    }
    key = {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"}
    return _operation(
        "request_booking",
        "Ask for a session",
        created,
        404,
        409,
        413,
        422,
        success=201,
        body=BookingIn,
        parameters=[
            {"name": "Idempotency-Key", "in": "header", "description": _ONCE, "schema": key}
        ],
    )


def _cancel_booking() -> dict[str, Any]:
    return _operation(
        "cancel_booking",
        "Cancel; a client's open enquiry is withdrawn. Again is no error: the same result is shown",
        _json("The booking, cancelled or withdrawn", _ref(BookingDetail)),
        404,
        409,
        413,
        422,
        body=CancelIn,
        parameters=[_in_path("reference", "a booking's reference")],
    )


def _list_slots() -> dict[str, Any]:
    starts = {"type": "array", "items": {"type": "string", "format": "date-time"}}
    asked = SlotsIn.model_json_schema(by_alias=True, ref_template="{model}")
    query = [
        {
            "name": name,
            "in": "query",
            "description": schema["description"],
            "schema": _without_references(schema, asked["$defs"]),
        }
        for name, schema in asked["properties"].items()
    ]
    return _operation(
        "list_slots",
        "Open starts, ascending; none of a therapist who takes no bookings",
        _json("The starts, in UTC", starts),
        404,
        422,
        parameters=[_in_path("slug", "a therapist's slug"), *query],
    )


def _without_references(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema with the one definition it points to written out."""
    plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
    pointed_to = plain.pop("$ref", None)
    return {**definitions[pointed_to], **plain} if pointed_to else plain


def _operation(
    name: str,
    summary: str,
    answer: dict[str, Any],
    *refusals: int,
    success: int = 200,
    body: type[BaseModel] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    responses = {str(success): answer}
    responses |= {str(status): _refusal(status) for status in sorted({*_ALWAYS, *refusals})}
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body:
        content = {"application/json": {"schema": _ref(body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _refusal(status: int) -> dict[str, Any]:
    codes = ", ".join(code for code, (each, _) in KINDS.items() if each == status)
    return {"description": codes, "content": {MEDIA_TYPE: {"schema": _ref(Problem)}}}


def _json(description: str, schema: object) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _in_path(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "name": name, "in": "path", "required": True, "description": description, "schema": schema
    }  # fmt: skip


def _ref(model: type[BaseModel]) -> PydanticSchema[Any]:
    return PydanticSchema(schema_class=model)
