"""What all pages of the ops desk share: where it is not, the guard, the layout."""

from typing import Any

from flask import Blueprint, Flask, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app import clock, config
from app.errors import NotFound
from app.store.models import Area, OpsPerson
from app.web import auth, guard

PATH = "/ops"
# Rows of a list's page.
PAGE_SIZE = 50


def register(app: Flask) -> None:
    app.before_request(_refuse_where_it_is_not)


def _refuse_where_it_is_not() -> None:
    is_of_desk = request.path == PATH or request.path.startswith(f"{PATH}/")
    if is_of_desk and not config.current().ops_sign_in:
        abort(404)


def require_sign_in(blueprint: Blueprint) -> None:
    guard.require_sign_in(blueprint, Area.OPS)


def current_person() -> OpsPerson:
    person = auth.signed_in_ops()
    if person is None:
        raise NotFound("page")
    return person


def layout_context() -> dict[str, Any]:
    """Values for ops/layout.html; times of the desk are in UTC, as in emails to ops."""
    return {"person": current_person(), "zone": "UTC", "now": clock.now()}


def page_number() -> int:
    return max(request.args.get("page", 1, type=int), 1)


def page_of(rows: list[Any], number: int) -> dict[str, Any]:
    """A list's page, of rows read with one more than PAGE_SIZE."""
    return {"rows": rows[:PAGE_SIZE], "number": number, "has_more": len(rows) > PAGE_SIZE}


def said(message: str, endpoint: str, **values: Any) -> ResponseReturnValue:
    """What was done, on the page that shows it."""
    flash(message)
    return redirect(url_for(endpoint, **values, _anchor="said"), 303)
