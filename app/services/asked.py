"""Asking for an email by typing an address: the same row for every address."""

from datetime import datetime

from app.services import access_trail, limits
from app.store import asked
from app.store.db.database import in_transaction
from app.store.models import AskedKind


@in_transaction
def ask_for(kind: AskedKind, address: str, now: datetime, *, about: str = "") -> None:
    """`about`: as AskedEmail.about. `services.mail.asked_answers` finds out who it is for."""
    network = access_trail.current_origin().network
    asked.add(kind, address, limits.address_hash(address), about=about, network=network, now=now)
