"""People that our emails do not reach: who, since when and why, and trying again."""

from datetime import datetime

from app.errors import NotFound
from app.services.mail import expiry
from app.services.ops import acts
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction
from app.store.models import Client, OutboxEmail, Therapist
from app.store.queries import Unreachable

# More are not shown; each is a person who has to be reached in another way.
MOST_SHOWN = 200


def people() -> list[Unreachable]:
    """The newest first."""
    return queries.unreachable_people(MOST_SHOWN)


@in_transaction
def try_again(address: str, now: datetime) -> int:
    """Send to the address again; how many failed emails go out now.

    Raises NotFound where emails are not known to fail there.
    """
    if suppressions.of_address(address) is None:
        raise NotFound("address that emails do not reach")
    therapist = queries.therapist_by_email(address)
    client = queries.client_by_email(address)
    suppressions.try_again(address)
    sent = sum(
        outbox.retry_failed(email.id, now)
        for person in (therapist, client)
        if person is not None
        for email in _still_true(person, now)
    )
    # Of somebody who is both, the trail names the therapist.
    acts.record("try_again", now, therapist=therapist, client=None if therapist else client)
    return sent


def _still_true(person: Therapist | Client, now: datetime) -> list[OutboxEmail]:
    failed = queries.failed_emails_to(person)
    return [each for each in failed if expiry.why_stale(each, now) is None]
