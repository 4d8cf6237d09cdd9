"""A request for an email, made by typing an address: the same row for every address."""

from datetime import datetime

from app.services import access_trail, limits
from app.store import email_requests
from app.store.db.database import in_transaction
from app.store.models import EmailRequestKind


@in_transaction
def create(kind: EmailRequestKind, address: str, now: datetime, *, about: str = "") -> None:
    """`about`: as EmailRequest.about. The job that answers it finds out whose address it is."""
    network = access_trail.current_origin().network
    email_requests.add(
        kind, address, limits.address_hash(address), about=about, network=network, now=now
    )
