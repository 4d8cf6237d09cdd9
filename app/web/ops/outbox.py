"""The ops desk's outbox: emails and their tries; retry, skip, hold and release."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import InvalidFields, NotFound
from app.services.ops import outbox as ops_outbox
from app.store import queries
from app.store.models import OutboxStatus
from app.web.ops import base
from app.web.ops.search import EmailSearch
from app.web.reopened import lead_back
from emails.kinds import KINDS

blueprint = Blueprint("ops_outbox", __name__, url_prefix=f"{base.PATH}/outbox")
base.require_sign_in(blueprint)

# A larger number is no row id of either database.
_TOO_LARGE = 2**63


@blueprint.get("")
def show_all() -> ResponseReturnValue:
    wanted = EmailSearch.of_query(request.args)
    return render_template(
        "ops/outbox.html",
        **base.layout_context(),
        wanted=wanted,
        page=_found(wanted),
        state=ops_outbox.state(),
        statuses=list(OutboxStatus),
        kinds=sorted(KINDS),
        about=ops_outbox.about,
    )


def _found(wanted: EmailSearch) -> dict[str, Any]:
    number = base.page_number()
    if wanted.errors:
        return base.page_of([], number)
    skipped = (number - 1) * base.PAGE_SIZE
    found = queries.find_emails(wanted.filters, limit=base.PAGE_SIZE + 1, skip=skipped)
    return base.page_of(found, number)


lead_back(blueprint, ".show_all", "/retry-all", "/hold", "/release")


@blueprint.post("/retry-all")
def retry_all() -> ResponseReturnValue:
    queued = ops_outbox.retry(None, clock.now())
    return base.said(f"Failed emails queued again: {queued}.", ".show_all")


@blueprint.post("/hold")
def hold() -> ResponseReturnValue:
    ops_outbox.hold(clock.now())
    return base.said("On hold: no email leaves until you release it.", ".show_all")


@blueprint.post("/release")
def release() -> ResponseReturnValue:
    was_held = ops_outbox.release(clock.now())
    return base.said("Released." if was_held else "It was not on hold.", ".show_all")


@blueprint.get("/<int:number>")
def show(number: int) -> ResponseReturnValue:
    return _page(_checked(number))


lead_back(blueprint, ".show", "/<int:number>/retry", "/<int:number>/skip")


@blueprint.post("/<int:number>/retry")
def retry(number: int) -> ResponseReturnValue:
    if not ops_outbox.retry(_checked(number), clock.now()):
        return _page(number, HTTPStatus.CONFLICT)
    return base.said("Queued again.", ".show", number=number)


@blueprint.post("/<int:number>/skip")
def skip(number: int) -> ResponseReturnValue:
    try:
        ops_outbox.skip([_checked(number)], clock.now())
    except InvalidFields:
        return _page(number, HTTPStatus.CONFLICT)
    return base.said("Skipped: this email does not leave.", ".show", number=number)


def _checked(number: int) -> int:
    if number >= _TOO_LARGE:
        raise NotFound("email")
    return number


def _page(number: int, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    page = render_template(
        "ops/email.html",
        **base.layout_context(),
        state=ops_outbox.email_state(number),
        about=ops_outbox.about,
        is_refused=status is HTTPStatus.CONFLICT,
    )
    return page, status
