"""The values that emails name are all found, and only those that a kind names."""

from app.services.mail.compose import VALUES
from emails.kinds import KINDS


def test_every_value_that_a_kind_names_has_a_source() -> None:
    assert set(VALUES) == {name for row in KINDS.values() for name in row.values}
