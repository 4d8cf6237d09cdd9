"""What the site's forms share: fields checked by functions, and errors beside their fields."""

from collections.abc import Callable
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field, ValidationError

from app.errors import InvalidFields
from app.rules.names import tells_given_name
from app.services import validation


class SiteForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no types
    class Meta:
        def wrap_formdata(self, _form: FlaskForm, formdata: object) -> MultiDict[str, str] | None:
            # Flask-WTF would also read JSON and files, whose values are no texts.
            return None if formdata is None else request.form


class Checked:
    """A validator: `field.checked` is what `check` returned, its ValueError the field's error."""

    def __init__(self, check: Callable[[str], Any]) -> None:
        self._check = check

    def __call__(self, _form: FlaskForm, field: Field) -> None:
        try:
            field.checked = self._check(field.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from None


def zone(field: Field) -> str:
    """The time zone that a field means. Raises ValueError, AmbiguousPlace too.

    The value that the page was made with is a name of ours already, such as GMT, which would ask
    for more if it were typed.
    """
    value = (field.data or "").strip()
    check = validation.timezone if value == field.object_data else validation.place
    return check(value)


def check_zone(_form: FlaskForm, field: Field) -> None:
    """A validator: `field.checked` is the zone that the words mean."""
    try:
        field.checked = zone(field)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def add_error(form: FlaskForm, field: str, message: str) -> None:
    form[field].errors = [*form[field].errors, message]


def add_errors(form: FlaskForm, refusal: InvalidFields) -> None:
    for error in refusal.errors:
        add_error(form, error.field, error.message)


def require_given_name(name: Field, given_name: Field) -> None:
    """For an inline validator: `given_name` may be empty only where the name tells it."""
    is_known = given_name.errors or given_name.checked or name.errors
    if not (is_known or tells_given_name(name.checked)):
        raise ValidationError("Please say what to call you: the name does not tell.")
