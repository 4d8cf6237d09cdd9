"""From a kind of email and its context to a finished `Message`, through the templates."""

import re
from collections.abc import Callable, Mapping
from email.headerregistry import Address
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FileSystemLoader,
    FunctionLoader,
    StrictUndefined,
    pass_context,
    select_autoescape,
)
from jinja2.runtime import Context
from mjml import mjml2html

from emails import fee_words, formatting
from emails.addresses import mailbox, reply_address, sender_mailbox
from emails.calendar import Entry, calendar_part
from emails.kinds import FIRST_IN_THREAD, KINDS, CalendarState, EmailKind
from emails.message import CalendarPart, EmailContext, Envelope, Message, message_id
from emails.safety import check_slug, check_url

_EMPTY_LINES = re.compile(r"\n\s*\n")
_INCLUDE = re.compile(r"""\{% include ["'](.+?)["'] %\}""")

TEMPLATES = Path(__file__).parent / "templates"

# A booking's emails to one reader share one subject: who and when, so that it stays true.
THREAD_SUBJECT = "shared/thread_subject.txt"
# The subjects of emails about no booking.
OWN_SUBJECTS = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.glob("*/subject.txt"))


def render(kind: str, context: EmailContext) -> Message:
    """The email of that kind. Raises UnsafeValue, or UndefinedError where a value is missing."""
    row, envelope = KINDS[kind], context.envelope
    if envelope.role not in row.to:
        raise ValueError(f"{kind} does not go to {envelope.role}")
    names = (name for name in (*row.facts, *row.values) if name in context.values)
    values = {name: context.values[name] for name in names}
    _check(values)
    variables: dict[str, Any] = {**values, **_known_to_all(row, context)}
    of_thread = {**variables, "session": context.thread or context.session}
    subject = _templates().get_template(_subject(kind, envelope)).render(of_thread).strip()
    text = _tidy(_templates().get_template(f"{kind}/body.txt").render(variables))
    # The first line of every text is its news: a lock screen shows it beside the subject.
    variables.update(subject=subject, preheader=text.partition("\n")[0])
    own_id = _message_id(envelope, kind, envelope.ordinal)
    return Message(
        kind=kind,
        sender=sender_mailbox("sender", envelope.sender),
        recipient=mailbox("recipient", envelope.recipient),
        reply_to=_reply_to(envelope),
        subject=subject,
        message_id=own_id,
        sent_at=envelope.sent_at,
        headers=_headers(kind, envelope, own_id),
        text=text,
        html=_templates().get_template(f"{kind}/body.html").render(variables),
        calendar=_calendar(row, context),
    )


def _known_to_all(row: EmailKind, context: EmailContext) -> dict[str, Any]:
    envelope = context.envelope
    return {
        "role": envelope.role,
        "reader": envelope.reader,
        "zone": envelope.zone,
        "sent_at": envelope.sent_at,
        "support_email": envelope.support_email,
        "hears_replies": bool(envelope.reply_to),
        "hears_answers": context.hears_answers,
        "crisis_note": envelope.crisis_note,
        "reference": envelope.reference,
        "session": context.session,
        "calendar": _calendar_state(row, context.values),
        "fee": context.session.fee_for(envelope.role) if context.session else None,
    }


def _reply_to(envelope: Envelope) -> Address:
    if not envelope.reply_to:
        return reply_address("support_email", envelope.support_email)
    # A name, since the address says nothing to its reader.
    name = sender_mailbox("sender", envelope.sender).display_name
    address = reply_address("reply_to", envelope.reply_to)
    return Address(name, address.username, address.domain)


def warm_up() -> None:
    """Compile every template, so that a broken one stops the start and no email waits for one."""
    for kind in KINDS:
        for ending in ("txt", "html"):
            _templates().get_template(f"{kind}/body.{ending}")
    for subject in (THREAD_SUBJECT, *OWN_SUBJECTS):
        _templates().get_template(subject)


def _subject(kind: str, envelope: Envelope) -> str:
    return f"{kind}/subject.txt" if envelope.reference is None else THREAD_SUBJECT


def _check(values: Mapping[str, Any]) -> None:
    """Refuse a value that is not what the end of its name says. Raises UnsafeValue."""
    for name, value in values.items():
        if name.endswith("_url") and value is not None:
            check_url(name, value)
        elif name.endswith("_slug"):
            check_slug(name, value)


def _calendar(row: EmailKind, context: EmailContext) -> CalendarPart | None:
    state = _calendar_state(row, context.values)
    if state is None:
        return None
    assert context.session is not None
    envelope = context.envelope
    entry = Entry(
        role=envelope.role,
        session=context.session,
        sequence=context.sequence,
        stamped_at=envelope.sent_at,
        organizer=context.organizer,
        hears_answers=context.hears_answers,
        support_email=envelope.support_email,
        url=context.entry_url,
        meeting_url=context.values["meeting_url"] if "meeting_url" in row.values else None,
    )
    return calendar_part(state, entry, envelope.recipient)


def _calendar_state(row: EmailKind, values: Mapping[str, Any]) -> CalendarState | None:
    if row.calendar == "by_status":
        return "confirmed" if values["status"] == "accepted" else "tentative"
    return row.calendar


def _headers(kind: str, envelope: Envelope, own_id: str) -> dict[str, str]:
    headers = {
        "Auto-Submitted": "auto-generated",
        # Exchange's out-of-office and rules. Not "All": that would suppress bounces as well.
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "X-Mindsum-Email": kind,
    }
    if envelope.reference is not None:
        headers["X-Mindsum-Booking"] = envelope.reference
        first_id = _message_id(envelope, FIRST_IN_THREAD[envelope.role], 1)
        if first_id != own_id:
            headers["In-Reply-To"] = headers["References"] = first_id
    return headers


def _message_id(envelope: Envelope, kind: str, ordinal: int) -> str:
    return message_id(envelope.reference, kind, envelope.recipient, ordinal, envelope.domain)


def _tidy(text: str) -> str:
    # Template tags on lines of their own leave empty lines.
    return _EMPTY_LINES.sub("\n\n", text).strip() + "\n"


@cache
def _templates() -> Environment:
    return _with_formatting(
        Environment(
            loader=FunctionLoader(_source),
            undefined=StrictUndefined,
            # Plain text has nothing to escape.
            autoescape=select_autoescape(("html",)),
            # Looking at the files for each email takes as long as rendering it.
            auto_reload=False,
        )
    )


def _source(name: str) -> str:
    """A text is a file; for `<kind>/body.html` there is `<kind>/body.mjml`."""
    if not name.endswith(".html"):
        return _joined((TEMPLATES / name).read_text("utf-8"))
    mjml = _mjml_templates().get_template(name.removesuffix("html") + "mjml").render()
    # Without fonts={} the page would fetch its type from a font host.
    return _joined(mjml2html(mjml, fonts={}))


def _joined(source: str) -> str:
    """With the sentences it includes: looking them up for each email takes as long as all else."""

    def included(found: re.Match[str]) -> str:
        # As Jinja reads a file: without its last line end.
        return _joined((TEMPLATES / found[1]).read_text("utf-8").removesuffix("\n"))

    return _INCLUDE.sub(included, source)


@cache
def _mjml_templates() -> Environment:
    # MJML's own include loses padding and width, so layout and parts are joined before it runs,
    # with [[ ]] and [% %]: {{ }} and {% %} are left for the values of each email.
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",)),
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
    )


def _with_formatting(environment: Environment) -> Environment:
    for name in ("time", "short_date", "date", "date_time", "zone_name"):
        environment.filters[name] = _in_zone(getattr(formatting, name))
    for name in ("duration", "money", "price", "percent"):
        environment.filters[name] = getattr(formatting, name)
    for name in ("time_range", "relative_day", "is_same_local_time"):
        environment.globals[name] = getattr(formatting, name)
    environment.filters["sentence"] = fee_words.sentence
    environment.globals["cancelling"] = fee_words.cancelling
    environment.globals["leaving_now"] = fee_words.leaving_now
    environment.globals["why_cancelled"] = fee_words.why_cancelled
    return environment


def _in_zone(function: Callable[..., str]) -> Callable[..., str]:
    @pass_context
    def with_zone(context: Context, at: object, zone: str | None = None) -> str:
        return function(at, zone or context["zone"])

    return with_zone
