"""What a search of the ops desk asks for, from the address of a page or from its form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from app.errors import NotFound
from app.rules.lifecycle import Status
from app.services import validation
from app.services.ops import bookings as ops_bookings
from app.store import queries
from app.store.models import Booking, Client, OutboxStatus, Therapist
from app.store.queries import BookingFilters, EmailFilters
from emails.kinds import KINDS

# A longer value is none of ours, and no database takes such a number.
_MAX_LENGTH, _MAX_DIGITS = 254, 18


@dataclass(slots=True)
class _Search:
    """`typed`: what was asked for, by field; `errors`: what is wrong with it, by field."""

    typed: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, parse: Callable[[str], Any]) -> Any:
        """None too where it is wrong, and then `errors` says how."""
        typed = self.typed[name]
        try:
            return parse(typed) if typed else None
        except NotFound as error:
            self.errors[name] = f"There is no such {error.what}."
        except ValueError as error:
            self.errors[name] = str(error)
        return None


@dataclass(slots=True)
class BookingSearch(_Search):
    reference: str = ""
    client: Client | None = None
    therapist: Therapist | None = None
    day: date | None = None
    state: Status | None = None

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> "BookingSearch":
        """A client is named there by their row's number."""
        search = cls._of_both(query)
        search.client = search.read("client", _client_with_number)
        search.typed["client"] = search.client.email if search.client else ""
        return search

    @classmethod
    def of_form(cls, form: Mapping[str, str]) -> "BookingSearch":
        search = cls._of_both(form)
        search.client = search.read("client", _client)
        search.reference = search.read("reference", _reference) or ""
        return search

    @classmethod
    def _of_both(cls, values: Mapping[str, str]) -> "BookingSearch":
        search = cls(_typed(values, "reference", "client", "therapist", "day", "status", "late"))
        search.therapist = search.read("therapist", queries.therapist_by_slug)
        search.day = search.read("day", validation.day)
        search.state = search.read("status", _status)
        return search

    @property
    def is_late(self) -> bool:
        return self.typed["late"] == "yes"

    @property
    def query(self) -> dict[str, Any]:
        """The values of `of_query`."""
        given = {name: value for name, value in self.typed.items() if value}
        return given | ({"client": str(self.client.id)} if self.client else {})

    @property
    def fields(self) -> str:
        """The names of what was asked for, without its values."""
        return " ".join(name for name, value in self.typed.items() if value)

    def filters(self, now: datetime) -> BookingFilters:
        return ops_bookings.filters(
            status=self.state,
            therapist=self.therapist,
            client=self.client,
            late_at=now if self.is_late else None,
            day=self.day,
        )


@dataclass(slots=True)
class EmailSearch(_Search):
    booking: Booking | None = None
    state: OutboxStatus | None = None
    kind: str | None = None

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> "EmailSearch":
        search = cls(_typed(query, "reference", "status", "kind"))
        search.booking = search.read("reference", _booking)
        search.state = search.read("status", _email_status)
        search.kind = search.read("kind", _kind)
        return search

    @property
    def query(self) -> dict[str, Any]:
        return {name: value for name, value in self.typed.items() if value}

    @property
    def filters(self) -> EmailFilters:
        return EmailFilters(status=self.state, kind=self.kind, booking=self.booking)


def _typed(values: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: values.get(name, "").strip()[:_MAX_LENGTH] for name in names}


def _client_with_number(typed: str) -> Client:
    is_number = typed.isascii() and typed.isdecimal() and len(typed) <= _MAX_DIGITS
    return _known(queries.client_by_id(int(typed)) if is_number else None)


def _client(typed: str) -> Client:
    return _known(queries.client_by_email(validation.email(typed)))


def _known(client: Client | None) -> Client:
    if client is None:
        raise ValueError("No client has this address.")
    return client


def _booking(typed: str) -> Booking:
    return queries.booking_by_reference(validation.reference(typed))


def _reference(typed: str) -> str:
    return str(_booking(typed).reference)


def _one_of(choices: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(typed: str) -> Any:
        try:
            return choices(typed)
        except (ValueError, KeyError):
            raise ValueError("Please choose one of the list.") from None

    return parse


_status, _email_status = _one_of(Status), _one_of(OutboxStatus)
_kind = _one_of(lambda typed: typed if KINDS[typed] else None)
