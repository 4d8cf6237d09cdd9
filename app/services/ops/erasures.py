"""Erases again what a restored backup brought back."""

from datetime import datetime

import structlog

from app.services import clients
from app.store import erasure_log
from app.store.models import Client

_log = structlog.get_logger("mindsum")


def erase_again(now: datetime) -> int:
    """Erase everyone in ERASURE_LOG who is there as before; how many. Live bookings end.

    Raises ErasureLogUnusable.
    """
    erased = erasure_log.load()
    if erased is None or not erased.moments:
        return 0
    columns = (Client.id, Client.email, Client.email_key, Client.created_at)
    people = Client.select(*columns).order_by(Client.id).iterator()
    back = [each.email for each in people if not each.is_erased and erased.holds(each)]
    for address in back:
        clients.erase(address, now, ends_live_bookings=True)
    if back:
        _log.warning("erased_again", clients=len(back))
    return len(back)
