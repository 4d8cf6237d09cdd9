"""The double-entry ledger: what is owed because of each booking."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.rules.cancellation import Account, Line
from app.store.db import statements
from app.store.models import Booking, LedgerLine, Therapist
from app.store.queries import earnings
from app.store.queries.earnings import Payout

_BEGINNING, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Earning:
    booking: Booking
    event: str
    earned_at: datetime
    payout_minor: int
    currency: str

    @property
    def commission_minor(self) -> int:
        return int(self.booking.fee_minor) - self.payout_minor


def post(booking: Booking, event: str, lines: Sequence[Line], at: datetime) -> None:
    """Raises ValueError if `lines` do not sum to zero."""
    if sum(amount for _, amount in lines) != 0:
        raise ValueError(f"ledger lines of {booking.reference} do not sum to zero")
    rows = [
        LedgerLine(
            booking=booking.id,
            event=event,
            account=account,
            amount_minor=amount,
            currency=booking.currency,
            at=at,
            therapist=booking.therapist_id if account is Account.THERAPIST else None,
        )
        for account, amount in lines
    ]
    if rows:
        statements.insert(*rows)
    payout_minor = dict(lines).get(Account.THERAPIST)
    if payout_minor is not None:
        payout = Payout(at, booking.currency, payout_minor, booking.fee_minor)
        earnings.add_to_month(booking.therapist, payout)


def lines_of(booking: Booking) -> list[LedgerLine]:
    return list(LedgerLine.select().where(LedgerLine.booking == booking).order_by(LedgerLine.id))


def earnings_of(
    therapist: Therapist, since: datetime = _BEGINNING, until: datetime = _END
) -> Iterator[Earning]:
    """Those earned in [since, until), newest first; read in batches."""
    return map(_earning, earnings.payouts(therapist, since, until))


def earnings_page(
    therapist: Therapist, since: datetime, until: datetime, *, offset: int, limit: int
) -> list[Earning]:
    lines = earnings.payouts_page(therapist, since, until, offset=offset, limit=limit)
    return [_earning(line) for line in lines]


def _earning(line: LedgerLine) -> Earning:
    return Earning(line.booking, line.event, line.at, line.amount_minor, line.currency)
