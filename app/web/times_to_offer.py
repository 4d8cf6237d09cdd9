"""The times to which a booking can be moved, as a page shows them and as its form names them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from flask import request

from app import config
from app.errors import DomainError, FieldError, InvalidFields, SlotTaken
from app.services import availability, validation
from app.store.models import Booking
from app.web.public.open_times import Opening, Openings, arrange
from app.web.public.request_form import days_asked_for
from app.web.public.times_view import TimesView
from emails import formatting

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TimesToOffer:
    openings: Openings
    # Of those chosen so far, the ones that are still open.
    chosen: list[Opening]
    # Whether a button has just shown other days.
    is_turned: bool

    @property
    def chosen_starts(self) -> set[datetime]:
        return {each.starts_at for each in self.chosen}

    @property
    def chosen_elsewhere(self) -> list[Opening]:
        """Those that are on none of the days shown."""
        shown = {each.starts_at for day in self.openings.days for each in day.openings}
        return [each for each in self.chosen if each.starts_at not in shown]


def read(booking: Booking, zone: str, now: datetime) -> TimesToOffer:
    """As the form or the address asks for them."""
    until_at = now + config.current().policy.max_ahead + _ONE_DAY
    starts = availability.open_for_move(booking, from_at=now, until_at=until_at, now=now)
    view = TimesView(booking.kind, zone, days_asked_for(), None)
    chosen = [each for each in starts if each in chosen_starts()]
    openings = arrange(starts, view, now)
    named = openings.days[0].zone_name
    return TimesToOffer(
        openings=openings,
        chosen=[Opening(each, formatting.date_time(each, zone, named)) for each in chosen],
        is_turned=asks_for_days(),
    )


def chosen_starts() -> list[datetime]:
    """The starts that the form names; what is no start is left out."""
    found = []
    for value in request.form.getlist("starts"):
        try:
            found.append(validation.instant(value))
        except ValueError:
            continue
    return found


def chosen_start() -> datetime:
    """The one start that a form takes. Raises InvalidFields."""
    try:
        return validation.instant(request.form.get("starts_at", ""))
    except ValueError:
        message = "Please choose one of the times."
        raise InvalidFields(FieldError("starts_at", message)) from None


def asks_for_days() -> bool:
    """Whether other days are to be shown, and nothing is to happen."""
    return "show" in request.form


def refusal_text(refusal: DomainError | None) -> str:
    """Why the form was not taken; empty if it was not sent."""
    if isinstance(refusal, InvalidFields):
        return " ".join(each.message for each in refusal.errors)
    if isinstance(refusal, SlotTaken):
        return "One of these times has just gone. Please choose again."
    return str(refusal or "")


def refusal_status(refusal: DomainError | None) -> HTTPStatus:
    if refusal is None:
        return HTTPStatus.OK
    is_gone = isinstance(refusal, SlotTaken)
    return HTTPStatus.CONFLICT if is_gone else HTTPStatus.UNPROCESSABLE_ENTITY
