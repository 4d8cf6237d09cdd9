"""Clients for ops: changing an address, and ending those of the mail door."""

from datetime import datetime

from app.services import clients
from app.services.inbound import revoke
from app.services.ops import acts
from app.store.db.database import in_transaction
from app.store.models import Client


@in_transaction
def change_address(address: str, new: str, now: datetime) -> Client:
    """As `clients.change_address`. Raises NotFound, InvalidFields."""
    client = clients.change_address(address, new, now)
    acts.record("client_address", now, client=client)
    return client


@in_transaction
def revoke_addresses(address: str, now: datetime) -> Client:
    """As `revoke.of_client`. Raises NotFound."""
    client = revoke.of_client(address)
    acts.record("revoke_addresses", now, client=client)
    return client
