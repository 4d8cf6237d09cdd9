"""The ops desk: the late board, jobs and their health, and where its reader is signed in."""

from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app import clock
from app.services import sessions
from app.services.ops import acts, health
from app.services.ops import bookings as ops_bookings
from app.store import job_stats, queries
from app.store.models import Area, JobStatistics
from app.web import access, auth
from app.web.ops import base
from app.web.reopened import lead_back

blueprint = Blueprint("ops_desk", __name__, url_prefix=base.PATH)
base.require_sign_in(blueprint)


@blueprint.get("")
def show() -> ResponseReturnValue:
    board = ops_bookings.late_board(clock.now())
    access.note(acts.view_of("late board"))
    return render_template("ops/late_board.html", **base.layout_context(), board=board)


@blueprint.get("/jobs")
def show_jobs() -> ResponseReturnValue:
    now = clock.now()
    jobs = [(job, _is_silent(job, now)) for job in job_stats.all_jobs()]
    return render_template(
        "ops/jobs.html", **base.layout_context(), checks=health.checks(now), jobs=jobs
    )


def _is_silent(job: JobStatistics, now: datetime) -> bool:
    return abs((now - job.alive_at).total_seconds()) > job.patience_s


@blueprint.get("/sign-ins")
def show_sign_ins() -> ResponseReturnValue:
    return render_template(
        "ops/sign_ins.html",
        **base.layout_context(),
        browsers=queries.sessions_that_last(base.current_person(), clock.now()),
        current_session=auth.current_session(Area.OPS),
    )


lead_back(blueprint, ".show_sign_ins", "/sign-ins/end-one", "/sign-ins/end-all")


@blueprint.post("/sign-ins/end-one")
def end_one() -> ResponseReturnValue:
    ended_here = auth.end_chosen(base.current_person(), Area.OPS)
    return ended_here or base.said("Signed out there.", ".show_sign_ins")


@blueprint.post("/sign-ins/end-all")
def end_all() -> ResponseReturnValue:
    sessions.end_all_of(base.current_person(), clock.now())
    return auth.signed_out(Area.OPS)
