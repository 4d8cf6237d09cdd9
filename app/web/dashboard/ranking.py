"""Ranking: the therapist's place, the score spelled out, and the record of the last 90 days."""

from zoneinfo import ZoneInfo

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app import clock, config
from app.rules import answer_history, ranking, ranking_explanation, standing
from app.services.therapists import ranking as scores
from app.store import queries
from app.store.models import Therapist
from app.web.dashboard import base, ranking_chart

blueprint = Blueprint("ranking", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)


@blueprint.get("/ranking")
def show() -> ResponseReturnValue:
    """Where the therapist stands and why, as of now."""
    therapist, now, policy = base.current_therapist(), clock.now(), config.current().policy
    enquiries = scores.recent_enquiries(therapist, now)
    score = ranking.score(enquiries, is_flagged=bool(therapist.flagged_at), now=now, policy=policy)
    weeks = answer_history.by_week(enquiries, ZoneInfo(therapist.timezone), now=now, policy=policy)
    return render_template(
        "dashboard/ranking.html",
        **base.layout_context(),
        score=ranking.rounded(score.score),
        factors=ranking_explanation.explain(score, policy),
        weeks=weeks,
        chart=ranking_chart.of(weeks),
        **_standing(therapist),
    )


def _standing(therapist: Therapist) -> dict[str, object]:
    """The place in the list (None if not on it), the account's state and what the streak led to."""
    policy = config.current().policy
    listed = queries.listed_ids(clock.now())
    return {
        "policy": policy,
        "state": therapist.state,
        "place": listed.index(therapist.id) + 1 if therapist.id in listed else None,
        "listed": len(listed),
        "step": standing.step_reached(therapist.streak, policy),
    }
