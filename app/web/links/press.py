"""The guard of every form on a link's page: a press that could be a program's is asked about."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from flask import Flask, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from app import clock, config, links
from app.rules.press_guard import Doubt
from app.services import presses
from app.store.models import AccessEvent
from app.web import access, auth, cookies
from app.web.ops.request_metrics import count_press

NOT_NOW = "not_now"
_CHOICE, _SHOWN = "choice", "shown"
# How each outcome but "acted" is told in the access trail.
_NOTED = {
    "asked": AccessEvent.PRESS_ASKED,
    "acted_after_asking": AccessEvent.PRESS_CHOSEN,
    "not_now": AccessEvent.PRESS_CHOSEN,
}
_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class Verb:
    """What a press can mean: its value in the form, and how the page that asks offers it."""

    value: str
    # A function where the words have to be looked up.
    label: str | Callable[[], str]

    @property
    def words(self) -> str:
        return self.label if isinstance(self.label, str) else self.label()


class _AskFirst(Exception):
    def __init__(self, verbs: tuple[Verb, ...]) -> None:
        self.verbs = verbs


class NotNow(Exception):
    """The answer to the page that asks: nothing is to happen."""


def meant(
    *verbs: Verb, holder: str, does_something: Callable[[str], bool] = lambda _value: True
) -> str:
    """The value of the verb to act on: the first, or the one chosen on the page that asks.

    `holder`: the address that the link was sent to. `does_something`: whether acting on a value
    would change or show anything. Call it once the link has proved good. Where the press could be
    a program's, this does not return, and the answer is the page that asks.
    """
    if not config.current().press_guard:
        return verbs[0].value
    link, sent = access.good_link(), request.form
    assert link is not None
    shown = links.read_mark(link, sent.get(_SHOWN, ""))
    values = [verb.value for verb in verbs]
    is_question = shown is not None and shown.is_question
    choice = sent.get(_CHOICE) if is_question else None
    value = choice if choice in values else values[0]
    if choice != NOT_NOW and not does_something(value):
        return value
    if choice == NOT_NOW:
        _record("not_now", link)
        raise NotNow
    doubt = presses.doubt_about(
        link,
        shown,
        has_chosen=choice in values,
        is_known_browser=_is_known(holder),
        now=clock.now(),
    )
    # A question that came back without a choice is no answer, however old its email is by now.
    if doubt or (is_question and choice not in values):
        _record("asked", link, doubt)
        raise _AskFirst(verbs)
    _record("acted_after_asking" if is_question else "acted", link)
    return value


def mark() -> Markup:
    """The hidden field of a guarded form: when its page was shown."""
    return _mark_field(is_question=False)


def register(app: Flask) -> None:
    app.add_template_global(mark, "press_mark")
    app.register_error_handler(_AskFirst, _question_page)
    app.register_error_handler(NotNow, _page_again)


def _is_known(holder: str) -> bool:
    if cookies.has_asked(holder) or cookies.has_confirmed(holder):
        return True
    therapist = auth.signed_in_therapist()
    return therapist is not None and therapist.email == holder


def _record(outcome: str, link: links.LinkToken, doubt: Doubt | None = None) -> None:
    count_press(outcome)
    if outcome != "acted":
        access.note_press(_NOTED[outcome])
        _log.info(f"press_{outcome}", link=str(link.purpose), why=doubt and str(doubt))


def _question_page(asked: _AskFirst) -> ResponseReturnValue:
    carried = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in (_CHOICE, _SHOWN)
    ]
    return render_template(
        "links/question.html",
        verbs=asked.verbs,
        not_now=NOT_NOW,
        carried=carried,
        mark=_mark_field(is_question=True),
    )


def _page_again(_error: NotNow) -> ResponseReturnValue:
    return redirect(request.path, HTTPStatus.SEE_OTHER)


def _mark_field(*, is_question: bool) -> Markup:
    link = access.good_link()
    value = links.mark_form(link, is_question=is_question) if link else ""
    return Markup('<input type="hidden" name="{}" value="{}">').format(_SHOWN, value)
