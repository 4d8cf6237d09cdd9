"""The table of the access trail: who looked, who tried and what ops did, without content."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import BigAutoField, CharField, ForeignKeyField, IntegerField

from app.rules.lifecycle import Via
from app.store.models.base import Table, add_index
from app.store.models.bookings import Booking
from app.store.models.fields import EnumField, InstantField
from app.store.models.people import Client, Therapist


class Party(StrEnum):
    CLIENT = "client"
    THERAPIST = "therapist"
    OPS = "ops"
    STRANGER = "stranger"


class AccessEvent(StrEnum):
    # What people wrote was shown; `about` names it.
    READ = "read"
    # A link of an email was opened (GET); `about` is its purpose.
    LINK_OPENED = "link_opened"
    # A press on its page was asked about (`press_guard`), and one of the choices was sent.
    PRESS_ASKED = "press_asked"
    PRESS_CHOSEN = "press_chosen"
    # `about`: client, therapist, sessions or earnings.
    EXPORTED = "exported"
    ERASED = "erased"
    # Ops looked at it on the desk or the command line; `about`: booking, therapist, search …
    VIEWED = "viewed"
    # Ops did something; `about` names it, such as "accept" or "outbox_retry 7".
    ACTED = "acted"
    LINKS_REVOKED = "links_revoked"
    LINKS_ASKED = "links_asked"
    SIGN_IN_ASKED = "sign_in_asked"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    # The address of a therapist's calendar was made or ended; a program read it (a row each day).
    FEED_STARTED = "feed_started"
    FEED_ENDED = "feed_ended"
    FEED_READ = "feed_read"
    # What was refused; `about` is the endpoint.
    SIGN_IN_REFUSED = "sign_in_refused"
    WRONG_KEY = "wrong_key"
    # A key of the API that may only read was used to change something.
    READ_ONLY_KEY = "read_only_key"
    LINK_REFUSED = "link_refused"
    FORM_REFUSED = "form_refused"
    # The therapist of the row, who is signed in, tried to open another's session.
    SESSION_REFUSED = "session_refused"
    LIMIT_REACHED = "limit_reached"


class AccessEntry(Table):
    if TYPE_CHECKING:
        booking_id: int | None
        therapist_id: int | None
        client_id: int | None

    # Larger than other tables' numbers: on PostgreSQL a merged event uses one up too.
    id = BigAutoField()
    # The same within one minute, or one day for FEED_READ, is one row: the first moment, the last
    # one, and how often.
    at = InstantField()
    last_at = InstantField()
    times = IntegerField(default=1)
    event = EnumField(AccessEvent)
    about = CharField(max_length=64, default="")
    # Who it was; a therapist or client is the one that the row names.
    by = EnumField(Party)
    via = EnumField(Via)
    # Of who acted on the ops desk, in OPS_SIGN_IN; "" where it was somebody else.
    ops_address = CharField(max_length=254, default="")
    # What and whose data it was about, as far as known.
    booking = ForeignKeyField(Booking, null=True, on_delete="CASCADE", index=False)
    therapist = ForeignKeyField(Therapist, null=True, on_delete="CASCADE", index=False)
    client = ForeignKeyField(Client, null=True, on_delete="CASCADE", index=False)
    # A keyed hash of the IPv4 address or IPv6 /64: it compares networks and names none.
    network = CharField(max_length=16, default="")
    # When an opened link was made: all links of one email have the same second.
    link_made_at = InstantField(null=True)
    # The outbox email that carried an opened link, if its token names one. No foreign key: after a
    # restore the row may be gone, and RETENTION_MONTHS deletes it.
    email_id = IntegerField(null=True)
    # A hash of what makes two events the same.
    merge_key = CharField(max_length=32, unique=True)


add_index(AccessEntry, "access_entry_at", AccessEntry.at)
for _name, _field in (
    ("access_entry_booking", AccessEntry.booking),
    ("access_entry_therapist", AccessEntry.therapist),
    ("access_entry_client", AccessEntry.client),
):
    add_index(AccessEntry, _name, _field, AccessEntry.at, where=_field.is_null(False))
# Which links of one email were opened, and when.
add_index(
    AccessEntry,
    "access_entry_email",
    AccessEntry.email_id,
    AccessEntry.at,
    where=AccessEntry.email_id.is_null(False),
)
