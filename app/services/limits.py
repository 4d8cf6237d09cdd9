"""Limits on strangers, counted in the database and so across all processes."""

import hmac
from datetime import datetime, timedelta
from typing import Any

from app import config
from app.errors import TooManyOpen, TooManyRequests
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Client, EmailLimit, LimitUse, OutboxEmail, Therapist
from app.store.models.base import Table
from app.store.queries.locking import locking

# Requests that hold a time before their address is confirmed. Others are taken without holding.
PENDING_PER_THERAPIST = 10
PENDING_PER_ADDRESS = 2
# Open enquiries from the public form.
OPEN_PER_CLIENT = 3
# Emails of one kind to one address.
EMAILS_PER_HOUR = 6
_EMAIL_EVERY, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_DAY = timedelta(days=1)
# After that a row of EmailLimit limits nothing any more, and one of LimitUse says nothing.
EMAILS_KEPT, USES_KEPT = _HOUR, _DAY
# Kinds of LimitUse: requests of one network, and requests whose network is hidden.
_NETWORK, _HIDDEN = "request_network", "hidden_network"
# In the demo one person plays everybody.
DEMO_TIMES = 100


def widened(limit: int) -> int:
    """The limit, or a wide one in the demo."""
    return limit if config.current().demo_dir is None else limit * DEMO_TIMES


def address_hash(address: str) -> str:
    return _hash(config.current().secret_key, address)


def address_hashes(address: str) -> list[str]:
    """Also those that earlier secrets led to."""
    settings = config.current()
    keys = (settings.secret_key, *settings.secret_key_fallbacks)
    return [_hash(key, address) for key in keys]


def _hash(key: str, address: str) -> str:
    text = f"mindsum address {queries.email_key(address)}"
    return hmac.digest(key.encode(), text.encode(), "sha256").hex()


def check_open_enquiries(therapist: Therapist, client: Client, now: datetime) -> None:
    """Of those from the public form; both rows are locked. Raises TooManyOpen."""
    found = queries.open_public_enquiries(therapist, client, now)
    if [each.client_id for each in found].count(client.id) >= widened(OPEN_PER_CLIENT):
        raise TooManyOpen("client")
    of_therapist = [each.therapist_id for each in found].count(therapist.id)
    if of_therapist >= config.current().open_per_therapist:
        raise TooManyOpen("therapist")


def lock_emails(kind: str, hashed: str, now: datetime) -> EmailLimit:
    """The row that counts emails of that kind to that address, locked until the commit."""
    key = {"kind": kind, "address_hash": hashed}
    counted: EmailLimit = _locked(EmailLimit, key, {"leave_at": {}, "last_at": now})
    return counted


def next_email_at(counted: EmailLimit, now: datetime, *, is_link_out: bool) -> datetime:
    """When the next email may leave, and count it: a minute after the last, six an hour.

    While no unexpired link of its kind is out, one always goes at once.
    """
    moments = [datetime.fromisoformat(at) for at in counted.leave_at.get("at", [])]
    last = sorted(at for at in moments if at > now - _HOUR)
    at, most = now, widened(EMAILS_PER_HOUR)
    if is_link_out and last:
        every = _EMAIL_EVERY * EMAILS_PER_HOUR / most
        hour_passed = last[-most] + _HOUR if len(last) >= most else now
        at = max(now, last[-1] + every, hour_passed)
    counted.leave_at = {"at": [each.isoformat() for each in sorted([*last, at])[-most:]]}
    counted.last_at = max(at, counted.last_at)
    counted.save()
    return at


def merge(email: OutboxEmail, counted: EmailLimit, now: datetime, *, is_link_out: bool) -> None:
    """Let a waiting email, whose row is locked, count as asked for now instead of another one.

    While no unexpired link of its kind is out, it leaves as soon as its own failures allow.
    """
    if is_link_out:
        return
    at = next_email_at(counted, now, is_link_out=True) if email.attempts else now
    changes = {"created_at": now, "due_at": min(at, email.due_at)}
    OutboxEmail.update(changes).where(OutboxEmail.id == email.id).execute()


def count_request(network: str | None, now: datetime) -> None:
    """Count a request from the public form, within its transaction. Raises TooManyRequests.

    None is a network that a proxy hides: it has no limit, and `hides_networks` says so.
    """
    if network is None:
        _lock(_HIDDEN, "", now).record([], now)
        return
    counted = _lock(_NETWORK, _network_hash(network), now)
    recent = [at for at in counted.moments if now - _HOUR < at <= now]
    most = widened(config.current().requests_per_network)
    if len(recent) >= most:
        raise TooManyRequests(recent[-most] + _HOUR - now)
    counted.record(recent, now)


@in_transaction
def count_refused_request(network: str | None, now: datetime) -> None:
    """As `count_request`, after a request that was refused and undone."""
    count_request(network, now)


def hides_networks(now: datetime) -> bool:
    """Whether a proxy that TRUSTED_PROXIES does not count has hidden visitors within a day."""
    is_it = (LimitUse.kind == _HIDDEN) & (LimitUse.last_at > now - _DAY)
    return bool(LimitUse.select().where(is_it).exists())


def _network_hash(network: str) -> str:
    key = config.current().secret_key.encode()
    return hmac.digest(key, f"mindsum network {network}".encode(), "sha256").hex()


def _lock(kind: str, subject: str, now: datetime) -> LimitUse:
    counted: LimitUse = _locked(
        LimitUse, {"kind": kind, "subject": subject}, {"uses": {}, "last_at": now}
    )
    return counted


def _locked(table: type[Table], key: dict[str, str], empty: dict[str, Any]) -> Any:
    """The row with that key, which is `empty` if it is new."""
    # A loop, because the row may be purged while we wait for it.
    while (row := locking(table.select().filter(**key)).first()) is None:
        table.insert(key | empty).on_conflict_ignore().execute()
    return row
