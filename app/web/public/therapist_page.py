"""A therapist's page: what it shows, and its text, which is kept until that changes."""

from dataclasses import dataclass
from datetime import datetime

from flask import Response, render_template

from app import clock, config
from app.services import search
from app.store import queries, suppressions
from app.store.models import Therapist
from app.web import scripts, typed_fields, zones
from app.web.page_cache import PageCache
from app.web.public import times_view
from app.web.public.open_times import all_starts, arrange
from app.web.public.request_form import (
    RequestForm,
    asks_for_times,
    split_at_marks,
    with_own_values,
)
from app.web.public.times_view import TimesView
from app.web.scripts import KeptResponse
from app.web.template_filters import rfc3339


@dataclass(frozen=True, slots=True)
class KeptPage:
    # Split at each visitor's own values.
    parts: list[bytes]
    is_hidden: bool
    script_sources: str


# By address and the visitor's zone; a page has up to 60 KB.
pages = PageCache[KeptPage](64)


@dataclass(frozen=True, slots=True)
class TherapistPage:
    """`starts` can be requested at `now`."""

    therapist: Therapist
    view: TimesView
    form: RequestForm
    now: datetime
    starts: tuple[datetime, ...]
    is_unreached: bool

    def html(self, refusal: str = "") -> str:
        chosen_at = self.view.chosen_at
        return render_template(
            "public/therapist.html",
            therapist=self.therapist,
            view=self.view,
            form=self.form,
            now=self.now,
            policy=config.current().policy,
            is_unreached=self.is_unreached,
            chosen=rfc3339(chosen_at) if chosen_at else "",
            openings=arrange(self.starts, self.view, self.now),
            shows_times=asks_for_times(),
            refusal=refusal,
        )


def kept_response(slug: str) -> Response:
    """The page before anything was sent. Raises NotFound."""
    page = pages.get_as_stored(lambda: _made(slug), zones.known())
    response = KeptResponse(with_own_values(page.parts), mimetype="text/html")
    response.script_sources = page.script_sources
    if page.is_hidden:
        response.headers["X-Robots-Tag"] = "noindex"
    return response


def _made(slug: str) -> KeptPage:
    therapist = queries.therapist_by_slug(slug)
    html = _html(therapist)
    return KeptPage(split_at_marks(html), therapist.is_hidden, scripts.sources_in(html.encode()))


def _html(therapist: Therapist) -> str:
    if not therapist.takes_bookings:
        return unavailable(therapist)
    view, form = times_view.read_address(therapist)
    form.put_marks()
    return read(therapist, view, form).html()


def read(therapist: Therapist, view: TimesView, form: RequestForm) -> TherapistPage:
    """Of a therapist who takes bookings."""
    now = clock.now()
    return TherapistPage(
        therapist=therapist,
        view=view,
        form=form,
        now=now,
        starts=all_starts(therapist, view.kind, now),
        is_unreached=suppressions.of_address(therapist.email) is not None,
    )


def unavailable(therapist: Therapist) -> str:
    now = clock.now()
    return render_template(
        "public/unavailable.html",
        therapist=therapist,
        typed=typed_fields.sent(),
        now=now,
        policy=config.current().policy,
        others=search.alternatives_to(therapist, now),
    )
