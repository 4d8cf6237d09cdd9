"""The parts of an email for the demo's mailbox, and its HTML as a page for a frame."""

import re
from dataclasses import dataclass
from email.message import EmailMessage

from flask import Response, make_response

from emails.preview import Scheme, in_scheme

HTML_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
        # The page around it reads its height; without allow-scripts nothing in it runs.
        "sandbox allow-same-origin allow-popups allow-top-navigation-by-user-activation",
    )
)
_LINK = re.compile(r"<a\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parts:
    subject: str
    sender: str
    recipient: str
    kind: str
    reference: str | None
    text: str | None
    html: str | None
    calendar: str | None
    raw: str

    @property
    def first_line(self) -> str:
        return (self.text or "").partition("\n")[0].strip()


def parts_of(message: EmailMessage, raw: bytes) -> Parts:
    """`raw` is the source of `message`."""
    calendars = (part for part in message.walk() if part.get_content_type() == "text/calendar")
    return Parts(
        subject=str(message.get("Subject", "")),
        sender=str(message.get("From", "")),
        recipient=str(message.get("To", "")),
        kind=str(message.get("X-Mindsum-Email", "")),
        reference=message.get("X-Mindsum-Booking"),
        text=_content(message.get_body(("plain",))),
        html=_content(message.get_body(("html",))),
        calendar=_content(next(calendars, None)),
        raw=raw.decode("utf-8", "replace"),
    )


def frame_page(html: str, scheme: Scheme) -> Response:
    """A page for an iframe of this site: no scripts, no cookies, links open in the whole tab."""
    # Browsers use the first of two target attributes, so the email's own does not count.
    response = make_response(_LINK.sub('<a target="_top"', in_scheme(html, scheme)))
    response.headers["Content-Security-Policy"] = HTML_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _content(part: object) -> str | None:
    return str(part.get_content()) if isinstance(part, EmailMessage) else None
