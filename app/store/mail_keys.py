"""The one key of the mail door's addresses, made when it is first needed."""

import secrets
from base64 import b64decode, b64encode

from app.store.db.database import in_transaction
from app.store.models import MailKey

_NAME = "addresses"
_BYTES = 32


def addresses_key() -> bytes:
    """The same for the life of the database. Raises NotesKeyWrong."""
    row = MailKey.get_or_none(MailKey.name == _NAME) or _make()
    return b64decode(row.secret)


@in_transaction
def _make() -> MailKey:
    secret = b64encode(secrets.token_bytes(_BYTES)).decode()
    # Another process may be quicker.
    MailKey.insert(_row(secret)).on_conflict_ignore().execute()
    found: MailKey = MailKey.get(MailKey.name == _NAME)
    return found


def _row(secret: str) -> dict[str, str]:
    row = MailKey(name=_NAME, secret=secret)
    return {"name": row.name, "secret": row.secret}
