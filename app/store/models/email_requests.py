"""The table of requests for an email, made by typing an address into a form."""

from enum import StrEnum

from peewee import CharField

from app.store.models.base import Table, add_index
from app.store.models.fields import EncryptedTextField, EnumField, InstantField


class EmailRequestKind(StrEnum):
    SIGN_IN = "sign_in"
    # To the ops desk.
    OPS_SIGN_IN = "ops_sign_in"
    YOUR_LINKS = "your_links"
    CONFIRM_REQUEST = "confirm_request"


class EmailRequest(Table):
    # A form writes one row, the same for every address. What follows from it is for
    # deliver_outbox to find out, and the row ends: so no answer tells by how long it takes.

    class Meta:
        table_name = "asked_email"

    kind = EnumField(EmailRequestKind)
    address = EncryptedTextField(bound_to=("kind", "created_at"))
    # A keyed hash of it, for erasing.
    address_hash = CharField(max_length=64)
    # The page to go to after signing in, or the key of the pending request to confirm.
    about = CharField(max_length=200, default="")
    # As AccessEntry.network.
    network = CharField(max_length=16, default="")
    created_at = InstantField()


# Rows about one pending request are answered in their order.
add_index(EmailRequest, "asked_email_about", EmailRequest.kind, EmailRequest.about, EmailRequest.id)
