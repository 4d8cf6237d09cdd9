"""Who may sign in to the ops desk: the addresses of OPS_SIGN_IN."""

from app import config
from app.store import queries
from app.store.models import OpsPerson, Therapist
from app.store.models.sign_ins import Owner


def ops_person(address: str) -> OpsPerson | None:
    """The person of OPS_SIGN_IN with that address, however it is spelt; None if it is not in it."""
    key = queries.email_key(address)
    allowed = config.current().ops_sign_in
    return next((OpsPerson(each) for each in allowed if queries.email_key(each) == key), None)


def may_sign_in(owner: Owner) -> bool:
    """False for an address that is no longer in OPS_SIGN_IN."""
    return isinstance(owner, Therapist) or owner.email in config.current().ops_sign_in
