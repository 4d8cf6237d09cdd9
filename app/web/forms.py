"""What the site's forms share: fields checked by functions, and errors beside their fields."""

from collections.abc import Callable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import Field, ValidationError


class Checked:
    """A validator: `field.checked` is what `check` returned, its ValueError the field's error."""

    def __init__(self, check: Callable[[str], Any]) -> None:
        self._check = check

    def __call__(self, _form: FlaskForm, field: Field) -> None:
        try:
            field.checked = self._check(field.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from None


def add_error(form: FlaskForm, field: str, message: str) -> None:
    form[field].errors = [*form[field].errors, message]
