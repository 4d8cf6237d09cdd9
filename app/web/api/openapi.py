"""The OpenAPI 3.1 document, made from the models that the API itself uses."""

from functools import cache
from typing import Any

from openapi_pydantic import OpenAPI
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class
from pydantic import BaseModel

from app.schemas import BookingDetail, BookingOut, Problem, TherapistDetail, TherapistOut
from app.web.api.input import BookingIn, CancelIn, DeclineIn, ProposalIn, SlotsIn, TakeIn
from app.web.api.problems import KINDS, MEDIA_TYPE

_ANY_OPERATION = (400, 401, 429, 500, 503)
_DESCRIPTION = (
    "Bookings of therapy sessions. Instants are RFC 3339 in UTC; money is in whole minor units."
    " Errors are problem details (RFC 9457); `code` names the reason. If several apply, the first"
    " of 401, 403, 404, 422, 409 is sent. A body that is not a JSON object, or names no therapist,"
    " gets 422."
)
_KEY_HELP = (
    "1 to 255 visible ASCII characters. For at least two days, the same key with the same JSON"
    " gets the first answer again, whether that was 201 or 409; with other JSON it gets 422. After"
    " a 404 or 422 the key can be used again."
)


def _in_path(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "name": name, "in": "path", "required": True, "description": description, "schema": schema
    }  # fmt: skip


_REFERENCE = _in_path("reference", "a booking's reference")
_SLUG = _in_path("slug", "a therapist's slug")


@cache
def document(public_url: str) -> str:
    openapi = construct_open_api_with_schema_class(
        OpenAPI.model_validate(
            {
                "openapi": "3.1.1",
                "info": {"title": "Mindsum Bookings", "version": "1", "description": _DESCRIPTION},
                "servers": [{"url": public_url}],
                "security": [{"key": []}],
                "paths": _paths(),
                "components": {
                    "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
                },
            }
        )
    )
    return openapi.model_dump_json(by_alias=True, exclude_none=True)


def _paths() -> dict[str, Any]:
    return {
        "/api/v1/bookings": {"post": _request_booking()},
        "/api/v1/bookings/{reference}": {
            "get": _show_operation(
                "booking", "One booking, with its timeline and ledger", BookingDetail, _REFERENCE
            )
        },
        "/api/v1/bookings/{reference}/cancel": {"post": _cancel_booking()},
        **_time_moves(),
        "/api/v1/therapists": {
            "get": _operation(
                "list_therapists",
                "Therapists on Find a Therapist, best first",
                _json("The list", {"type": "array", "items": _ref(TherapistOut)}),
            )
        },
        "/api/v1/therapists/{slug}": {
            "get": _show_operation(
                "therapist",
                "One therapist, listed or not, with standing and ranking",
                TherapistDetail,
                _SLUG,
            )
        },
        "/api/v1/therapists/{slug}/slots": {"get": _list_slots()},
    }


def _time_moves() -> dict[str, Any]:
    return {
        "/api/v1/bookings/{reference}/proposals": {
            "post": _move_time(
                "propose_times",
                "Offer other times to the other side; a client's open enquiry moves at once",
                ProposalIn,
                success=201,
            )
        },
        "/api/v1/bookings/{reference}/proposals/take": {
            "post": _move_time("take_proposal", "Take a time that the other side offered", TakeIn)
        },
        "/api/v1/bookings/{reference}/proposals/decline": {
            "post": _move_time(
                "decline_proposal",
                "Keep the old time: decline the other side's proposal, or take back one's own",
                DeclineIn,
            )
        },
    }


def _show_operation(
    noun: str, summary: str, model: type[BaseModel], parameter: dict[str, Any]
) -> dict[str, Any]:
    shown = _json(f"The {noun}", _ref(model))
    return _operation(f"show_{noun}", summary, shown, 404, parameters=[parameter])


def _request_booking() -> dict[str, Any]:
    created = _json("The enquiry; its time is held", _ref(BookingOut))
    created["headers"] = {
        "Location": {"description": "The booking's address", "schema": {"type": "string"}}
    }
    key = {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"}
    return _operation(
        "request_booking",
        "Ask for a session",
        created,
        403,
        404,
        409,
        413,
        422,
        success=201,
        body=BookingIn,
        parameters=[
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": _KEY_HELP,
                "schema": key,
            }
        ],
    )


def _cancel_booking() -> dict[str, Any]:
    return _operation(
        "cancel_booking",
        "Cancel; a client's open enquiry is withdrawn. Repeating it shows the same result",
        _json("The booking, cancelled or withdrawn", _ref(BookingDetail)),
        403,
        404,
        409,
        413,
        422,
        body=CancelIn,
        parameters=[_REFERENCE],
    )


def _move_time(
    name: str, summary: str, body: type[BaseModel], success: int = 200
) -> dict[str, Any]:
    return _operation(
        name,
        f"{summary}. Repeating it shows the same result",
        _json("The booking", _ref(BookingDetail)),
        403,
        404,
        409,
        413,
        422,
        success=success,
        body=body,
        parameters=[_REFERENCE],
    )


def _list_slots() -> dict[str, Any]:
    starts = {"type": "array", "items": {"type": "string", "format": "date-time"}}
    model = SlotsIn.model_json_schema(by_alias=True, ref_template="{model}")
    query = [
        {
            "name": name,
            "in": "query",
            "description": schema["description"],
            "schema": _without_references(schema, model["$defs"]),
        }
        for name, schema in model["properties"].items()
    ]
    return _operation(
        "list_slots",
        "Open starts, ascending; empty for a therapist who takes no bookings",
        _json("The starts, in UTC", starts),
        404,
        422,
        parameters=[_SLUG, *query],
    )


def _without_references(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema with the definition it refers to written out."""
    plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
    reference = plain.pop("$ref", None)
    return {**definitions[reference], **plain} if reference else plain


def _operation(
    name: str,
    summary: str,
    success_response: dict[str, Any],
    *errors: int,
    success: int = 200,
    body: type[BaseModel] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    responses = {str(success): success_response}
    responses |= {str(status): _problem(status) for status in sorted({*_ANY_OPERATION, *errors})}
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body:
        content = {"application/json": {"schema": _ref(body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _problem(status: int) -> dict[str, Any]:
    codes = ", ".join(code for code, (each, _) in KINDS.items() if each == status)
    return {"description": codes, "content": {MEDIA_TYPE: {"schema": _ref(Problem)}}}


def _json(description: str, schema: object) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(model: type[BaseModel]) -> PydanticSchema[Any]:
    return PydanticSchema(schema_class=model)
