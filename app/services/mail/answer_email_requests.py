"""Answers to requests for an email, once it is known whose address was typed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from app.rules.lifecycle import Via
from app.services import access_trail, auth
from app.services.access_trail import Origin
from app.services.bookings import confirm
from app.services.clients.links import send_links
from app.store import email_requests
from app.store.db import errors
from app.store.db.database import in_transaction, savepoint
from app.store.models import Area, EmailRequest, EmailRequestKind, Party

# One run answers so many, so that emails leave in between.
BATCH = 50
# The email is of no more use then.
_TOO_OLD = {
    EmailRequestKind.SIGN_IN: auth.SIGN_IN_LASTS,
    EmailRequestKind.OPS_SIGN_IN: auth.SIGN_IN_LASTS,
    EmailRequestKind.YOUR_LINKS: timedelta(days=1),
    EmailRequestKind.CONFIRM_REQUEST: confirm.LINK_LASTS,
}
_ANSWERS: dict[EmailRequestKind, Callable[[EmailRequest, datetime], None]] = {
    EmailRequestKind.SIGN_IN: lambda each, now: auth.request_sign_in(each.address, each.about, now),
    EmailRequestKind.OPS_SIGN_IN: lambda each, now: auth.request_sign_in(
        each.address, each.about, now, Area.OPS
    ),
    EmailRequestKind.YOUR_LINKS: lambda each, now: send_links(each.address, now),
    EmailRequestKind.CONFIRM_REQUEST: lambda each, now: confirm.send_link(
        each.about, each.address, now
    ),
}

_log = structlog.get_logger("mindsum")


def answer_due(now: datetime) -> None:
    """Queue the emails that people asked for; what was asked for an unknown address ends here."""
    # Without a transaction of its own where there is nothing to do.
    if not email_requests.is_empty():
        for _ in range(BATCH):
            if not _answer_oldest(now):
                return


@in_transaction
def _answer_oldest(now: datetime) -> bool:
    each = email_requests.take_oldest()
    if each is None:
        return False
    if now - each.created_at < _TOO_OLD[each.kind]:
        _answer(each, now)
    return True


def _answer(each: EmailRequest, now: datetime) -> None:
    try:
        with savepoint(), access_trail.acting_as(Origin(Party.STRANGER, Via.PAGE, each.network)):
            _ANSWERS[each.kind](each, now)
    except Exception as error:
        if isinstance(error, errors.DATABASE_ERRORS) and errors.is_environmental(error):
            raise
        # This one would fail at each run and keep all emails waiting.
        _log.exception("asked_email_failed", kind=str(each.kind))
