"""Ends the addresses of the mail door that a person knows; their later emails carry new ones."""

import structlog

from app.errors import NotFound
from app.store import queries
from app.store.db.database import in_transaction, on_commit
from app.store.models import Client, Therapist

_log = structlog.get_logger("mindsum")


@in_transaction
def of_therapist(slug: str) -> Therapist:
    """Raises NotFound."""
    therapist = queries.locked_therapist_by_slug(slug)
    therapist.addresses_epoch += 1
    therapist.save(only=["addresses_epoch"])
    on_commit(lambda: _log.warning("addresses_revoked", therapist=slug))
    return therapist


@in_transaction
def of_client(address: str) -> Client:
    """Raises NotFound."""
    client = queries.locked_client(address)
    if client is None or client.is_erased:
        raise NotFound("client with that address")
    client.addresses_epoch += 1
    client.save(only=["addresses_epoch"])
    number = client.id
    on_commit(lambda: _log.warning("addresses_revoked", client=number))
    return client
