"""Erases again what a restored backup brought back."""

from datetime import datetime

import structlog

from app.services.clients.erase import erase_client
from app.services.therapists.erase import erase_therapist
from app.store import erasure_log, queries
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
    addresses = [each.email for each in people if not each.is_erased and erased.holds(each)]
    slugs = [each.slug for each in queries.every_therapist() if erased.holds(each)]
    for slug in slugs:
        erase_therapist(slug, now, ends_live_bookings=True)
    for address in addresses:
        erase_client(address, now, ends_live_bookings=True)
    if addresses or slugs:
        _log.warning("erased_again", clients=len(addresses), therapists=len(slugs))
    return len(addresses) + len(slugs)
