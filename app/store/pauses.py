"""Pauses of recipient domains, or of the whole queue, shared by all schedulers."""

from datetime import datetime
from typing import Any

from peewee import SQL, Expression, fn

from app.store.db.statements import Statement
from app.store.models import MailPause, OutboxEmail

# The scope of a pause of the whole queue.
EVERYTHING = "*"
# For claiming: SQL that holds for emails that no pause is about, not even one that is over.
NOT_PAUSED = (
    "domain NOT IN (SELECT scope FROM mail_pause)"
    " AND NOT EXISTS (SELECT 1 FROM mail_pause WHERE scope = '*')"
)


_ALL = Statement[MailPause](lambda: MailPause.select().order_by(MailPause.id))


def all_pauses() -> list[MailPause]:
    return _ALL.all()


def get(scope: str) -> MailPause | None:
    row: MailPause | None = MailPause.get_or_none(MailPause.scope == scope)
    return row


def covers(domain: str) -> bool:
    return bool(MailPause.select().where(MailPause.scope.in_([domain, EVERYTHING])).exists())


def may_be_tried(now: Any) -> Expression:
    """A condition on OutboxEmail: no pause is about the email, or only one that is over."""
    lasting = MailPause.select(MailPause.scope).where(MailPause.until > now)
    is_free: Expression = OutboxEmail.domain.not_in(lasting) & ~fn.EXISTS(
        lasting.where(MailPause.scope == EVERYTHING)
    )
    return is_free


def put(scope: str, reason: str, *, until: datetime, now: datetime) -> bool:
    """Begin a pause or make it longer; whether it begins."""
    pause = {"scope": scope, "reason": reason[:300], "until": until, "refused_at": now}
    begins = MailPause.insert(**pause, at=now).on_conflict_ignore().as_rowcount().execute()
    if not begins:
        MailPause.update(**pause, refusals=MailPause.refusals + 1).where(
            MailPause.scope == scope
        ).execute()
    return bool(begins)


def over(now: datetime) -> list[MailPause]:
    """Pauses after which one email may be tried; while everything is paused only that one."""
    paused = all_pauses()
    everything = [pause for pause in paused if pause.scope == EVERYTHING]
    return [pause for pause in everything or paused if pause.until <= now]


def take(pause: MailPause, now: datetime, until: datetime) -> bool:
    """Of several that want to try an email after a pause, one gets True and holds it `until`."""
    is_over = (MailPause.scope == pause.scope) & (MailPause.until <= now)
    return bool(MailPause.update(until=until).where(is_over).execute())


def give_back(scope: str, now: datetime) -> None:
    """The try said nothing: the next email may be tried now."""
    MailPause.update(until=now).where(MailPause.scope == scope).execute()


def end_unused() -> None:
    """End pauses of domains to which no email waits."""
    waiting = OutboxEmail.select(OutboxEmail.domain).where(
        SQL("status IN ('queued', 'sending')")  # as the partial indexes have it
    )
    unused = (MailPause.scope != EVERYTHING) & MailPause.scope.not_in(waiting)
    MailPause.delete().where(unused).execute()


def end(*scopes: str) -> int:
    """How many had been paused."""
    return int(MailPause.delete().where(MailPause.scope.in_(scopes)).execute())
