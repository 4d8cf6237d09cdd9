"""Pausing a recipient domain that refuses us, or the whole queue, for at most 15 minutes."""

from datetime import datetime, timedelta
from functools import cache

import structlog
from publicsuffixlist import PublicSuffixList

from app import config
from app.services.mail import backoff
from app.store import pauses
from app.store.claiming import Claim
from app.store.db.database import in_transaction, on_commit
from app.store.models import MailPause, Outcome
from app.store.pauses import EVERYTHING

LONGEST = timedelta(minutes=15)
# So many unrelated domains that refuse us within `LONGEST` mean that it is us.
UNRELATED = 3

# The server takes our emails, or judges them one by one.
_ANSWERS = frozenset({Outcome.SENT, Outcome.REFUSED_ADDRESS, Outcome.REFUSED_CONTENT})

_log = structlog.get_logger("mindsum")


def refuse(claim: Claim, reason: str, now: datetime) -> datetime:
    """Pause the domain of a refused email, in the caller's transaction; returns until when."""
    domain = claim.email.domain
    number = claim.email.id
    until = _pause(domain, reason, now, email=number, is_next=claim.probes is not None)
    refusing = {
        organisation(pause.scope)
        for pause in pauses.all_pauses()
        if pause.scope != EVERYTHING and now - pause.refused_at <= LONGEST
    }
    # Once everything is paused, one more refusal is enough: the others have not been asked since.
    if claim.probes == EVERYTHING or len(refusing) >= UNRELATED:
        is_next = claim.probes == EVERYTHING
        until = max(until, _pause(EVERYTHING, reason, now, email=number, is_next=is_next))
    return until


@in_transaction
def pause_everything(reason: str, until: datetime, now: datetime) -> None:
    """Our own mail server lets nothing in: tell the other schedulers."""
    pauses.put(EVERYTHING, reason, until=min(until, now + LONGEST), now=now)


def answered(claim: Claim, outcome: Outcome, now: datetime) -> None:
    """Act on the answer to the email that was to end a pause, unless it was about us again."""
    scope = claim.probes
    if scope is None or (outcome is Outcome.BLOCKED and scope == EVERYTHING):
        return
    if outcome not in _ANSWERS:
        pauses.give_back(scope, now)
    elif pauses.end(scope, claim.email.domain):
        on_commit(lambda: _log.info("mail_resumed", email=claim.email.id))


def organisation(domain: str) -> str:
    """One label below the public suffix: mail.example.co.uk belongs to example.co.uk."""
    return _public_suffixes().privatesuffix(domain) or domain


@cache
def _public_suffixes() -> PublicSuffixList:
    # Read at the first refusal: most processes never need the list.
    return PublicSuffixList()


def _pause(scope: str, reason: str, now: datetime, *, email: int, is_next: bool) -> datetime:
    pause = pauses.get(scope)
    if pause and now < pause.until and not is_next:
        # Another email was under way when the pause began.
        return pause.until
    wait = _wait(pause)
    if pauses.put(scope, reason, until=now + wait, now=now):
        # A domain may name its owner, and no log line can be erased: the email has it.
        event = "outbox_paused" if scope == EVERYTHING else "domain_paused"
        again_in_s = round(wait.total_seconds(), 1)
        on_commit(lambda: _log.warning(event, email=email, why=reason, again_in_s=again_in_s))
    return now + wait


def _wait(pause: MailPause | None) -> timedelta:
    refusals = pause.refusals + 1 if pause else 1
    return min(backoff.retry_wait(refusals, config.current().outbox_retry_seconds), LONGEST)
