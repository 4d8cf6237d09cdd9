"""The double-entry ledger: what is owed because of each booking."""

from collections.abc import Sequence
from datetime import datetime

from app.rules.cancellation import Line
from app.store.models import Booking, LedgerLine


def post(booking: Booking, event: str, lines: Sequence[Line], at: datetime) -> None:
    """Write what `event` moves, in the caller's transaction. Lines sum to zero."""
    if sum(amount for _, amount in lines) != 0:
        raise ValueError(f"ledger lines of {booking.reference} do not sum to zero")
    for account, amount in lines:
        LedgerLine.create(
            booking=booking,
            event=event,
            account=account,
            amount_minor=amount,
            currency=booking.currency,
            at=at,
        )


def lines_of(booking: Booking) -> list[LedgerLine]:
    """The booking's lines in the order in which they were written."""
    return list(LedgerLine.select().where(LedgerLine.booking == booking).order_by(LedgerLine.id))
