"""The access trail: records who looked and who tried, as roles and row ids, never content."""

import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import structlog
from peewee import EXCLUDED

from app import config
from app.rules.lifecycle import Via
from app.store.db import errors
from app.store.db.database import in_transaction, on_commit, savepoint
from app.store.models import AccessEntry, AccessEvent, Booking, Client, Party, Therapist

# What strangers can cause at will. Each is also a log line.
_TRIES = frozenset(
    {
        AccessEvent.SIGN_IN_ASKED,
        AccessEvent.LINKS_ASKED,
        AccessEvent.SIGN_IN_REFUSED,
        AccessEvent.WRONG_KEY,
        AccessEvent.READ_ONLY_KEY,
        AccessEvent.LINK_REFUSED,
        AccessEvent.FORM_REFUSED,
        AccessEvent.SESSION_REFUSED,
        AccessEvent.LIMIT_REACHED,
    }
)
_LOGGED = _TRIES | {AccessEvent.EXPORTED, AccessEvent.ERASED}
# Of one kind, network and minute so many are written one by one, then each doubling.
_EXACT = 16
# So many kinds and networks a minute have rows of their own; more networks share one.
_MOST_ROWS = 200

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, and by which way in; `network` is a `network_hash`, `api_key` a key's name.

    `ops_address`: the personal address of who acts on the ops desk.
    """

    by: Party
    via: Via
    network: str = ""
    api_key: str = ""
    ops_address: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """Who it was, for a timeline and for ops alone: an API key's name or an ops address."""
        named = {Via.API: ("api_key", self.api_key), Via.OPS: ("ops", self.ops_address)}
        name, value = named.get(self.via, ("", ""))
        return {name: value} if value else {}


@dataclass(frozen=True, slots=True)
class Access:
    """One event; a booking stands for its client too, and for its therapist if none is named."""

    event: AccessEvent
    booking: Booking | None = None
    therapist: Therapist | None = None
    client: Client | None = None
    about: str = ""
    by: Party | None = None
    # When the opened link was made.
    link_made_at: datetime | None = None
    # The number of the outbox email that carried it.
    email: int | None = None
    # Whose session or Sign In link of the ops desk it is about.
    ops_address: str = ""


class _Tries:
    """What was tried in this minute, in this process: a flood costs few writes and few rows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self._minute: datetime | None = None
        # By merge key: how often each was seen, and how many of those were written.
        self._seen: dict[str, tuple[int, int]] = {}

    def due(self, row: dict[str, Any], now: datetime) -> int:
        """How many more to write of it: 0 until its count has doubled.

        Where too many networks try at once, `row` loses its network.
        """
        with self._lock:
            if self._minute != now.replace(second=0, microsecond=0):
                self.clear()
                self._minute = now.replace(second=0, microsecond=0)
            if len(self._seen) >= _MOST_ROWS and _merge_key(row) not in self._seen:
                row["network"] = ""
            key = _merge_key(row)
            seen, written = self._seen.get(key, (0, 0))
            seen += 1
            is_due = seen <= _EXACT or seen.bit_count() == 1
            self._seen[key] = (seen, seen if is_due else written)
            return seen - written if is_due else 0


tries = _Tries()
COMMAND_LINE = Origin(Party.OPS, Via.CLI)
_origin: ContextVar[Origin] = ContextVar("origin", default=COMMAND_LINE)


def come_from(origin: Origin) -> None:
    """What this thread records from now on is done by `origin`."""
    _origin.set(origin)


def current_origin() -> Origin:
    return _origin.get()


@contextmanager
def acting_as(origin: Origin) -> Iterator[None]:
    """What the block records is done by `origin`."""
    before = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(before)


def network_hash(address: str | None) -> str:
    """16 hexadecimal digits for an IPv4 address or an IPv6 /64; none for anything else."""
    return _network_hash(address or "", config.current().secret_key)


@lru_cache(maxsize=1024)
def _network_hash(address: str, secret_key: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    network = str(parsed)
    if isinstance(parsed, IPv6Address):
        network = str(parsed.ipv4_mapped or ip_network((int(parsed), 64), strict=False))
    # Keyed, since all IPv4 addresses can be tried in minutes.
    text = f"mindsum network {network}"
    return hmac.new(secret_key.encode(), text.encode(), sha256).hexdigest()[:16]


def record(access: Access, now: datetime) -> None:
    """In the caller's transaction. A trail that cannot be written is logged and stops nothing."""
    try:
        with savepoint():
            _add(access, now)
    except errors.DATABASE_ERRORS as error:
        # What is wrong with the whole database concerns the caller's own writes too.
        if errors.is_environmental(error):
            raise
        _log_loss(access, error)


@in_transaction
def record_required(access: Access, now: datetime) -> None:
    """For what must not happen unrecorded. Raises StoreUnavailable."""
    _add(access, now)


def record_after(accesses: list[Access], now: datetime) -> None:
    """In a transaction of its own, once a page was answered; never raises."""
    try:
        _add_all(accesses, now)
    # The page is done, whatever is wrong with the trail.
    except Exception as error:
        for access in accesses:
            _log_loss(access, error)


@in_transaction
def _add_all(accesses: list[Access], now: datetime) -> None:
    for access in accesses:
        _add(access, now)


def _add(access: Access, now: datetime) -> None:
    row = _row(access, now)
    times = tries.due(row, now) if access.event in _TRIES else 1
    if not times:
        return
    row |= {"times": times, "merge_key": _merge_key(row)}
    AccessEntry.insert(row).on_conflict(
        conflict_target=[AccessEntry.merge_key],
        update={
            AccessEntry.times: AccessEntry.times + EXCLUDED.times,
            AccessEntry.last_at: EXCLUDED.last_at,
        },
    ).execute()
    if access.event in _LOGGED:
        _log_event(access, row)


def _row(access: Access, now: datetime) -> dict[str, Any]:
    origin, booking = current_origin(), access.booking
    therapist, client = access.therapist, access.client
    return {
        "at": now,
        "last_at": now,
        "event": access.event,
        "about": access.about[:64],
        "by": access.by or origin.by,
        "via": origin.via,
        "ops_address": access.ops_address or origin.ops_address,
        "booking": booking.id if booking else None,
        "therapist": therapist.id if therapist else booking and booking.therapist_id,
        "client": booking.client_id if booking else client and client.id,
        "network": origin.network,
        "link_made_at": access.link_made_at,
        "email_id": access.email,
    }


def _merge_key(row: dict[str, Any]) -> str:
    same = [str(value) for name, value in row.items() if name not in ("at", "last_at")]
    # Calendar programs come every few minutes.
    is_of_a_day = row["event"] is AccessEvent.FEED_READ
    span = f"{row['at']:{'%Y-%m-%d' if is_of_a_day else '%Y-%m-%dT%H:%M'}}"
    return sha256("|".join([span, *same]).encode()).hexdigest()[:32]


def _log_event(access: Access, row: dict[str, Any]) -> None:
    facts = {
        "about": access.about or None,
        "by": str(row["by"]),
        "via": str(row["via"]),
        "booking": access.booking.reference if access.booking else None,
        "times": row["times"],
    }
    on_commit(lambda: _log.info(str(access.event), **facts))


def _log_loss(access: Access, error: Exception) -> None:
    _log.warning("access_unrecorded", what=str(access.event), exc_info=error)
