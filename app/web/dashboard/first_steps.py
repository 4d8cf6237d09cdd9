"""The steps of a new therapist's first day, which Home shows until all are done."""

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app.rules.first_steps import Step
from app.services.therapists import accounts
from app.store.models import Therapist
from app.web.dashboard import base
from app.web.reopened import lead_back

blueprint = Blueprint("first_steps", __name__, url_prefix="/dashboard/first-steps")
base.require_sign_in(blueprint)

# The others are done by filling in what they ask for.
_TICKED = frozenset({Step.RATE, Step.MEETING_LINK, Step.VISIBILITY})


lead_back(blueprint, "home.show", "")


@blueprint.post("")
def tick() -> ResponseReturnValue:
    step = next((each for each in _TICKED if each == request.form.get("step")), None)
    if step is None:
        abort(HTTPStatus.BAD_REQUEST)
    accounts.tick_steps(base.current_therapist().slug, step)
    flash("Noted.")
    return redirect(url_for("home.show", _anchor="said"), HTTPStatus.SEE_OTHER)


def steps_to_show(therapist: Therapist) -> list[tuple[Step, bool]]:
    """Each step and whether it is done; empty once all are."""
    done = therapist.steps_done
    return [] if done >= frozenset(Step) else [(step, step in done) for step in Step]
