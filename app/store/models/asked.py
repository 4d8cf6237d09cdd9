"""The table of emails that somebody asked for by typing an address."""

from enum import StrEnum

from peewee import CharField

from app.store.models.base import Table, add_index
from app.store.models.fields import EncryptedTextField, EnumField, InstantField


class AskedKind(StrEnum):
    SIGN_IN = "sign_in"
    # To the ops desk.
    OPS_SIGN_IN = "ops_sign_in"
    YOUR_LINKS = "your_links"
    CONFIRM_REQUEST = "confirm_request"


class AskedEmail(Table):
    # A form writes one row, the same for every address. What follows from it is for
    # deliver_outbox to find out, and the row ends: so no answer tells by how long it takes.

    kind = EnumField(AskedKind)
    address = EncryptedTextField(bound_to=("kind", "created_at"))
    # A keyed hash of it, for erasing.
    address_hash = CharField(max_length=64)
    # The page to go to after signing in, or the key of the pending request to confirm.
    about = CharField(max_length=200, default="")
    # As AccessEntry.network.
    network = CharField(max_length=16, default="")
    created_at = InstantField()


# Rows about one pending request are answered in their order.
add_index(AskedEmail, "asked_email_about", AskedEmail.kind, AskedEmail.about, AskedEmail.id)
