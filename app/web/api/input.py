"""Input of the API: pydantic models of what callers send, and errors by field."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
)
from pydantic_core import ErrorDetails

from app.errors import DomainError, FieldError, InvalidFields
from app.rules.lifecycle import Actor, Kind
from app.services import validation
from app.services.bookings.request import BookingRequest

_DAYS = re.compile(r"[0-9]{1,4}")
_MAX_FIELD_NAME_LENGTH = 120
_REPEATED = "Please give this field once."


def _instant(value: object) -> datetime:
    return validation.instant(str(value))


def _day(value: object) -> date:
    return validation.day(str(value))


def _given_name(value: str | None) -> str | None:
    return None if value is None else validation.given_name(value)


def _digits_only(value: object) -> object:
    if isinstance(value, str) and not _DAYS.fullmatch(value):
        raise ValueError("Please give a whole number of days from 1 to 62.")
    return value


class In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClientIn(In):
    name: Annotated[str, AfterValidator(validation.name)] = Field(
        description="a name in one line, at most 120 characters"
    )
    given_name: Annotated[str | None, AfterValidator(_given_name)] = Field(
        None,
        description="what the client wants to be called, at most 60 characters; derived from the"
        " name if left out",
    )
    email: Annotated[str, AfterValidator(validation.email)] = Field(
        description="an email address such as name@example.org"
    )
    timezone: Annotated[str, AfterValidator(validation.timezone)] = Field(
        description="a time zone such as Europe/London"
    )


class BookingIn(In):
    therapist: str = Field(description="the slug of a therapist", min_length=1)
    client: ClientIn = Field(
        description="an object with name, email and timezone, and given_name if known"
    )
    starts_at: Annotated[datetime, BeforeValidator(_instant)] = Field(
        description="a start such as 2026-11-03T10:00:00Z, with its offset from UTC"
    )
    kind: Kind = Field(description="paid or free_consultation")
    note: Annotated[str, AfterValidator(validation.text)] = Field(
        "", description="a text for the therapist of at most 4000 characters, or nothing"
    )

    def to_request(self) -> BookingRequest:
        return BookingRequest(
            therapist=self.therapist,
            name=self.client.name,
            given_name=self.client.given_name,
            email=self.client.email,
            timezone=self.client.timezone,
            starts_at=self.starts_at,
            kind=self.kind,
            note=self.note,
        )


class CancelIn(In):
    by: Literal[Actor.CLIENT, Actor.THERAPIST] = Field(description="client or therapist")


class ProposalIn(In):
    by: Literal[Actor.CLIENT, Actor.THERAPIST] = Field(description="client or therapist")
    starts: list[Annotated[datetime, BeforeValidator(_instant)]] = Field(
        description="one to three starts such as 2026-11-03T10:00:00Z, each with its offset",
        min_length=1,
        max_length=3,
    )


class TakeIn(In):
    by: Literal[Actor.CLIENT, Actor.THERAPIST] = Field(description="client or therapist")
    starts_at: Annotated[datetime, BeforeValidator(_instant)] = Field(
        description="one of the starts offered, such as 2026-11-03T10:00:00Z"
    )
    waive_notice: StrictBool = Field(
        False, description="true if the therapist lets the client cancel as if asked in time"
    )


class DeclineIn(In):
    by: Literal[Actor.CLIENT, Actor.THERAPIST] = Field(description="client or therapist")


class SlotsIn(In):
    from_on: Annotated[date, BeforeValidator(_day)] = Field(
        alias="from", description="the first day, in UTC, such as 2026-11-03; today if left out"
    )
    days: Annotated[int, BeforeValidator(_digits_only)] = Field(
        14, ge=1, le=62, description="a whole number of days from 1 to 62"
    )
    kind: Kind = Field(Kind.PAID, description="paid or free_consultation")


_Model = TypeVar("_Model", bound=In)


class InvalidBody(DomainError):
    """The body is not a JSON object."""

    code = "invalid_body"

    def __init__(self) -> None:
        super().__init__("Please send a JSON object, in UTF-8.")


class _Object(dict[str, Any]):
    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = [name for name, count in counts.items() if count > 1]


def json_object(body: bytes) -> dict[str, Any]:
    """Raises InvalidBody, or InvalidFields where an object has a field more than once."""
    try:
        # Some programs begin with a byte order mark.
        text = body.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_Object)
        repeated = list(_repeated_fields(value, ""))
    except (ValueError, RecursionError):
        raise InvalidBody from None
    if not isinstance(value, dict):
        raise InvalidBody
    if repeated:
        raise InvalidFields(*(FieldError(name, _REPEATED) for name in repeated))
    return value


def single_values(given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A query's parameters. Raises InvalidFields if one is given more than once."""
    repeated = [name[:_MAX_FIELD_NAME_LENGTH] for name, values in given.items() if len(values) > 1]
    if repeated:
        raise InvalidFields(*(FieldError(name, _REPEATED) for name in repeated))
    return {name: values[0] for name, values in given.items()}


def _repeated_fields(value: object, path: str) -> Iterator[str]:
    if isinstance(value, _Object):
        for name in value.repeated:
            # A lone surrogate could not be sent back.
            yield (path + name)[:_MAX_FIELD_NAME_LENGTH].encode("utf-8", "replace").decode()
        for name, inner in value.items():
            yield from _repeated_fields(inner, f"{path}{name}.")
    elif isinstance(value, list):
        for inner in value:
            yield from _repeated_fields(inner, path)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def checked(model: type[_Model], values: dict[str, Any]) -> _Model:
    """Validate. Raises InvalidFields with an error for each invalid field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidFields(*(_field_error(model, each) for each in error.errors())) from None


def _field_error(model: type[BaseModel], error: ErrorDetails) -> FieldError:
    path = [str(part) for part in error["loc"]]
    name = ".".join(path)[:_MAX_FIELD_NAME_LENGTH]
    if error["type"] == "value_error":
        return FieldError(name, str(error["ctx"]["error"]))
    if error["type"] == "extra_forbidden":
        return FieldError(name, "There is no such field. Please leave it out.")
    if not path:
        return FieldError("body", "Please send field names in valid UTF-8.")
    return FieldError(name, f"Please give {_description(model, path)}.")


def _description(model: type[BaseModel], path: list[str]) -> str:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    field, *deeper = path
    inner = fields[field].annotation
    if deeper and isinstance(inner, type) and issubclass(inner, BaseModel):
        return _description(inner, deeper)
    return str(fields[field].description)
