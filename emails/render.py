"""From a kind and its values to a finished `Message`: templates, wording in the reader's zone."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    FunctionLoader,
    StrictUndefined,
    pass_context,
    select_autoescape,
)
from jinja2.runtime import Context
from mjml import mjml2html

from emails import formatting
from emails.message import CalendarPart, Envelope, Message, Session, message_id
from emails.safety import UnsafeValue, check_slug, check_url, mailbox, sender_mailbox

Role = Literal["client", "therapist", "ops"]

_EMPTY_LINES = re.compile(r"\n\s*\n")

TEMPLATES = Path(__file__).parent / "templates"


def compose(
    kind: str,
    role: Role,
    envelope: Envelope,
    session: Session | None = None,
    *,
    calendar: CalendarPart | None = None,
    **values: object,
) -> Message:
    """The email of that kind; `values` are what its templates name beside reader and session.

    Names say what a value must be: `…_url` an http(s) address, `…_email` one email address,
    `…_slug` a slug. Raises UnsafeValue.
    """
    if session is not None and session.reference != envelope.reference:
        raise UnsafeValue("reference", "the session's own")
    _check(values)
    context: dict[str, Any] = {
        **values,
        "role": role,
        "reader": envelope.first_name,
        "zone": envelope.zone,
        "sent_at": envelope.sent_at,
        "reference": envelope.reference,
        "session": session,
    }
    subject = _texts().get_template(f"{kind}/subject.txt").render(context).strip()
    text = _tidy(_texts().get_template(f"{kind}/body.txt").render(context))
    # The first line of every text is its news: what a lock screen shows beside the subject.
    context.update(subject=subject, preheader=text.partition("\n")[0])
    own_id = message_id(
        envelope.reference, kind, envelope.recipient, envelope.ordinal, envelope.domain
    )
    return Message(
        kind=kind,
        sender=sender_mailbox("sender", envelope.sender),
        recipient=mailbox("recipient", envelope.recipient),
        subject=subject,
        message_id=own_id,
        sent_at=envelope.sent_at,
        headers=_headers(kind, envelope, own_id),
        text=text,
        html=_pages().get_template(kind).render(context),
        calendar=calendar,
    )


def _check(values: Mapping[str, object]) -> None:
    """Refuse a value that is not what its name says. Raises UnsafeValue."""
    for name, value in values.items():
        if name.endswith("_url") and value is not None:
            check_url(name, str(value))
        elif name.endswith("_email"):
            mailbox(name, str(value))
        elif name.endswith("_slug"):
            check_slug(name, str(value))


def warm_up() -> None:
    """Compile every template now, so that none waits for it and a broken one stops the start."""
    for folder in TEMPLATES.iterdir():
        if (folder / "body.mjml").exists():
            _pages().get_template(folder.name)
            _texts().get_template(f"{folder.name}/subject.txt")
            _texts().get_template(f"{folder.name}/body.txt")


def _tidy(text: str) -> str:
    """At most one empty line in a row: tags that stand on lines of their own leave empty ones."""
    return _EMPTY_LINES.sub("\n\n", text).strip() + "\n"


def _headers(kind: str, envelope: Envelope, own_id: str) -> dict[str, str]:
    headers = {"Auto-Submitted": "auto-generated", "X-Mindsum-Email": kind}
    if envelope.reference is not None:
        headers["X-Mindsum-Booking"] = envelope.reference
    if envelope.root is not None and envelope.root != own_id:
        headers["In-Reply-To"] = envelope.root
        headers["References"] = envelope.root
    return headers


@cache
def _texts() -> Environment:
    # Plain text has nothing to escape (no name ends in .html); names are one clean line already.
    return _worded(
        Environment(
            loader=FileSystemLoader(TEMPLATES),
            undefined=StrictUndefined,
            autoescape=select_autoescape(("html",)),
        )
    )


@cache
def _pages() -> Environment:
    # A page's own name is its kind; the sentences that it shares with the text are files.
    loader = ChoiceLoader([FunctionLoader(_page), FileSystemLoader(TEMPLATES)])
    return _worded(Environment(loader=loader, undefined=StrictUndefined, autoescape=True))


@cache
def _sheets() -> Environment:
    # MJML's own include loses padding and width, so layout and parts are joined before it runs,
    # under marks of their own: {{ }} stays for the values of each email.
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


def _page(kind: str) -> str | None:
    """That kind's body in the layout as HTML, still with its Jinja tags for the values."""
    if "/" in kind:
        return None
    # Without fonts={} the page would fetch its type from a font host.
    return mjml2html(_sheets().get_template(f"{kind}/body.mjml").render(), fonts={})


def _worded(environment: Environment) -> Environment:
    """Give the templates the words for times and money, in the reader's zone unless told one."""
    for name in ("time", "short_date", "date", "date_time", "zone_name"):
        environment.filters[name] = _in_zone(getattr(formatting, name))
    environment.filters["duration"] = formatting.duration
    environment.filters["money"] = formatting.money
    environment.filters["price"] = formatting.price
    environment.filters["percent"] = formatting.percent
    environment.globals["time_range"] = formatting.time_range
    environment.globals["relative_day"] = formatting.relative_day
    environment.globals["is_same_local_time"] = formatting.is_same_local_time
    return environment


def _in_zone(word: Callable[..., str]) -> Callable[..., str]:
    @pass_context
    def worded(context: Context, at: object, zone: str | None = None) -> str:
        return word(at, zone or context["zone"])

    return worded
