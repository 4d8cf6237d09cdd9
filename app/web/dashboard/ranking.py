"""Ranking: the therapist's place, how the score is worked out, and a chart of recent answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app import clock, config
from app.rules import answer_history, ranking, ranking_explanation, standing
from app.rules.answer_history import Week
from app.services.therapists import ranking as scores
from app.store import queries
from app.store.models import Therapist
from app.web.dashboard import base

blueprint = Blueprint("ranking", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

# The chart, in units of its SVG.
_WEEK_WIDTH, _BAR_WIDTH, _BARS_HEIGHT, _LABELS_HEIGHT = 26, 18, 120, 22
_OUTCOMES = ("on_time", "late", "declined", "expired")


@blueprint.get("/ranking")
def show() -> ResponseReturnValue:
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
        chart=draw_chart(weeks),
        **_standing(therapist),
    )


def _standing(therapist: Therapist) -> dict[str, Any]:
    """`place` is None for a therapist who is not listed."""
    policy, listed = config.current().policy, queries.listed_ids(clock.now())
    return {
        "policy": policy,
        "state": therapist.state,
        "place": listed.index(therapist.id) + 1 if therapist.id in listed else None,
        "listed": len(listed),
        "step": standing.step_reached(therapist.streak, policy),
    }


@dataclass(frozen=True, slots=True)
class Block:
    outcome: str
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class MonthLabel:
    x: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """An SVG drawing with one bar per week; sizes are in its own units."""

    width: int
    height: int
    blocks: list[Block]
    labels: list[MonthLabel]


def draw_chart(weeks: Sequence[Week]) -> Chart:
    """Scaled so that the tallest bar fills the height."""
    most = max((week.total for week in weeks), default=0) or 1
    blocks, labels = list[Block](), list[MonthLabel]()
    for index, week in enumerate(weeks):
        x, y = index * _WEEK_WIDTH + (_WEEK_WIDTH - _BAR_WIDTH) // 2, float(_BARS_HEIGHT)
        for outcome in _OUTCOMES:
            height = getattr(week, outcome) * _BARS_HEIGHT / most
            y -= height
            if height:
                blocks.append(Block(outcome, x, round(y, 1), round(height, 1)))
        if index == 0 or week.starts_on.month != weeks[index - 1].starts_on.month:
            # A month of which one week is shown has no room for its name.
            if labels and x - labels[-1].x == _WEEK_WIDTH:
                labels.pop()
            labels.append(MonthLabel(x, f"{week.starts_on:%b}"))
    return Chart(len(weeks) * _WEEK_WIDTH, _BARS_HEIGHT + _LABELS_HEIGHT, blocks, labels)
