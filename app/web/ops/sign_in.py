"""Signing in to the ops desk and out, by the same emailed links as therapists."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app.store.models import Area
from app.web import auth
from app.web.ops.base import PATH
from app.web.security import SIGN_IN_LIMIT, csrf, limiter

blueprint = Blueprint("ops_sign_in", __name__, url_prefix=PATH)


@blueprint.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    return auth.sign_in_page(Area.OPS)


@blueprint.post("/sign-in")
@limiter.limit(SIGN_IN_LIMIT)
def send_sign_in_link() -> ResponseReturnValue:
    return auth.send_link(Area.OPS)


@blueprint.get("/sign-out")
def show_sign_out() -> ResponseReturnValue:
    return render_template("ops/sign_out.html")


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    return auth.end_current(Area.OPS)


# As for therapists: web/auth.py.
csrf.exempt(send_sign_in_link)
csrf.exempt(sign_out)
