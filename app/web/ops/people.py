"""The ops desk's people: therapists' accounts, and addresses that our emails do not reach."""

from http import HTTPStatus

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.errors import InvalidFields, NotFound
from app.services import validation
from app.services.ops import accounts as ops_accounts
from app.services.ops import acts, unreachable
from app.services.therapists import accounts, standing
from app.store import queries
from app.web import access
from app.web.forms import add_errors
from app.web.ops import base
from app.web.ops.forms import AccountForm
from app.web.reopened import lead_back

blueprint = Blueprint("ops_people", __name__, url_prefix=base.PATH)
base.require_sign_in(blueprint)


@blueprint.get("/unreachable")
def show_unreachable() -> ResponseReturnValue:
    access.note(acts.view_of("unreachable"))
    people = unreachable.people()
    return render_template("ops/unreachable.html", **base.layout_context(), people=people)


lead_back(blueprint, ".show_unreachable", "/unreachable/try-again")


@blueprint.post("/unreachable/try-again")
def try_again() -> ResponseReturnValue:
    chosen = request.form.get("id", "")
    found = {str(each.suppression.id): each for each in unreachable.people()}
    if chosen not in found:
        raise NotFound("address that emails do not reach")
    address = found[chosen].address
    sent = unreachable.try_again(address, clock.now())
    message = f"{address} is tried again. Emails queued: {sent}."
    return base.said(message, ".show_unreachable")


@blueprint.get("/therapists")
def show_accounts() -> ResponseReturnValue:
    therapists = queries.every_therapist()
    unreached = {each.address for each in unreachable.people()}
    attention = [
        each
        for each in therapists
        if each.is_deactivated or each.is_flagged or each.email in unreached
    ]
    return render_template(
        "ops/accounts.html",
        **base.layout_context(),
        attention=attention,
        others=[each for each in therapists if each not in attention],
        unreached=unreached,
    )


@blueprint.get("/therapists/add")
def show_add() -> ResponseReturnValue:
    return _add_page(AccountForm(formdata=None))


@blueprint.post("/therapists/add")
def add() -> ResponseReturnValue:
    form = AccountForm()
    form.currency = config.current().currency
    if not form.validate():
        return _add_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    new = form.to_account()
    try:
        added = ops_accounts.open_account(new, clock.now(), is_welcomed=True)
    except InvalidFields as refusal:
        if ops_accounts.opened_before(new):
            return base.said("This account is open already.", ".show_account", slug=new.slug)
        add_errors(form, refusal)
        return _add_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    message = f"The account is open. We email {added.given_name} how to begin."
    return base.said(message, ".show_account", slug=added.slug)


def _add_page(form: AccountForm) -> str:
    currency = config.current().currency
    return render_template(
        "ops/add_account.html", **base.layout_context(), form=form, currency=currency
    )


@blueprint.get("/therapists/<slug>")
def show_account(slug: str) -> ResponseReturnValue:
    return _account_page(slug)


lead_back(
    blueprint,
    ".show_account",
    "/therapists/<slug>/reactivate",
    "/therapists/<slug>/reachable",
    "/therapists/<slug>/sign-out",
)


@blueprint.post("/therapists/<slug>/reactivate")
def reactivate(slug: str) -> ResponseReturnValue:
    typed = request.form.get("reason", "")
    try:
        reason = validation.required_text(typed)
    except ValueError as error:
        return _account_page(slug, HTTPStatus.UNPROCESSABLE_ENTITY, typed=typed, error=str(error))
    if not standing.reactivate(slug, clock.now(), reason=reason):
        return _account_page(slug, HTTPStatus.CONFLICT)
    is_unreached = ops_accounts.record_of(slug).unreachable
    told = "our emails do not reach the therapist." if is_unreached else "the therapist is told."
    return base.said(f"Active again; {told}", ".show_account", slug=slug)


@blueprint.post("/therapists/<slug>/reachable")
def declare_reachable(slug: str) -> ResponseReturnValue:
    if not accounts.declare_reachable(slug, clock.now()):
        return _account_page(slug, HTTPStatus.CONFLICT)
    return base.said("Noted: emails arrive again.", ".show_account", slug=slug)


@blueprint.post("/therapists/<slug>/sign-out")
def sign_out(slug: str) -> ResponseReturnValue:
    ended = ops_accounts.sign_out(slug, clock.now())
    return base.said(f"Signed out everywhere. Sessions ended: {ended}.", ".show_account", slug=slug)


def _account_page(
    slug: str,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    typed: str = "",
    error: str = "",
) -> ResponseReturnValue:
    record = ops_accounts.record_of(slug)
    access.note(acts.view_of("therapist", therapist=record.therapist))
    page = render_template(
        "ops/account.html",
        **base.layout_context(),
        record=record,
        is_refused=status is HTTPStatus.CONFLICT,
        typed=typed,
        error=error,
    )
    return page, status
