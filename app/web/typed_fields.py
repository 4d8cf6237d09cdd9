"""What a person typed into a form whose answer is an error page, to be shown and sent again."""

from dataclasses import dataclass

from flask import request
from werkzeug.exceptions import HTTPException

from app.web.security import has_cookies

# Beside the texts a form also sends choices and keys, which are sent again unseen.
_LABELS = {
    "message": "Your message",
    "private_note": "Your own note",
    "reason": "Your reason",
    "note": "Your note to the therapist",
    "name": "Your name",
    "given_name": "What we call you",
    "email": "Your email address",
    "timezone": "Your time zone",
    "headline": "Headline",
    "about": "About you",
    "specialisms": "Specialisms",
    "qualifications": "Qualifications",
    "languages": "Languages",
    "meeting_url": "Meeting link",
    "rate": "Rate for one session",
}
_LONG = frozenset({"message", "private_note", "reason", "note", "about"})
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LABELS |= {
    f"{day}_{end}": f"{day.capitalize()}, {words}"
    for day in _DAYS
    for end, words in (("from", "from"), ("to", "until"))
}


@dataclass(frozen=True, slots=True)
class TypedField:
    name: str
    text: str
    # Empty if it was not typed.
    label: str
    is_long: bool


def sent() -> list[TypedField]:
    """The fields of the form that was sent, but for its CSRF token."""
    try:
        sent = list(request.form.items(multi=True))
    except HTTPException:
        # The body ended early.
        return []
    return [
        TypedField(name, text, _LABELS.get(name, "") if text.strip() else "", name in _LONG)
        for name, text in sent
        if name != "csrf_token"
    ]


def needs_token() -> bool:
    """Whether the form that was sent is protected by the visitor's cookie."""
    return has_cookies(request)
