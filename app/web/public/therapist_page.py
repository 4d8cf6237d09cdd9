"""A therapist's page: what it shows, read for each visitor, and its kept text."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

from flask import render_template, request

from app import clock, config
from app.services import search
from app.store import suppressions
from app.store.models import Therapist
from app.web import typed_fields, zones
from app.web.kept_pages import KeptPages
from app.web.public.open_times import all_starts, arrange
from app.web.public.request_form import RequestForm, asks_for_times
from app.web.public.times_view import TimesView
from app.web.template_filters import rfc3339

# By all that they show; a page has up to 60 KB.
pages = KeptPages[str](64)
# Longer texts are no days or zones, and would fill memory.
_MAX_KEPT_LENGTH = 80


@dataclass(frozen=True, slots=True)
class TherapistPage:
    """`starts` can be requested at `now`."""

    therapist: Therapist
    view: TimesView
    form: RequestForm
    now: datetime
    starts: tuple[datetime, ...]
    is_unreached: bool

    def kept_html(self) -> str:
        """Before anything was sent. A time that was just taken makes it another page."""
        if max(map(len, self.form.shown)) > _MAX_KEPT_LENGTH:
            return self.html()
        own_values = self.form.take_own_values()
        html = pages.get(self._shown, self.html)
        for mark, value in own_values.items():
            html = html.replace(mark, value)
        return html

    @property
    def _shown(self) -> Hashable:
        # All but what depends on `now`.
        stored = tuple(self.therapist.__data__.values())
        zone = zones.known(), request.args.get("tz")
        return stored, self.view, self.form.shown, zone, self.starts, self.is_unreached

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
