"""What therapists earned: sums by month, and the lines of the ledger that they are made of."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from peewee import Expression

from app.store.db import statements
from app.store.db.statements import Statement
from app.store.models import Booking, LedgerLine, MonthEarned, Therapist
from app.store.queries.batches import in_batches


class Payout(NamedTuple):
    """Minor units."""

    at: datetime
    currency: str
    payout_minor: int
    fee_minor: int


def _earned(therapist: Any, since: Any, until: Any) -> Expression:
    earned: Expression = (
        (LedgerLine.therapist == therapist) & (LedgerLine.at >= since) & (LedgerLine.at < until)
    )
    return earned


def _payouts(therapist: Any, since: Any, until: Any) -> Any:
    return (
        LedgerLine.select(LedgerLine, Booking)
        .join(Booking)
        .where(_earned(therapist, since, until))
        .order_by(LedgerLine.at.desc(), LedgerLine.id.desc())
    )


_PAGE = Statement[LedgerLine](
    lambda limit, offset, *given: _payouts(*given).limit(limit).offset(offset)
)
_IDS = Statement[tuple[int]](
    lambda *given: (
        LedgerLine.select(LedgerLine.id)
        .where(_earned(*given))
        .order_by(LedgerLine.at.desc(), LedgerLine.id.desc())
        .tuples()
    )
)
_BY_ID = Statement[LedgerLine](
    lambda ids: LedgerLine.select(LedgerLine, Booking).join(Booking).where(LedgerLine.id.in_(ids))
)
_ALL = Statement[tuple[datetime, str, int, int]](
    lambda therapist: (
        LedgerLine.select(
            LedgerLine.at, LedgerLine.currency, LedgerLine.amount_minor, Booking.fee_minor
        )
        .join(Booking)
        .where(LedgerLine.therapist == therapist)
        .tuples()
    )
)
_MONTHS = Statement[MonthEarned](
    lambda therapist: (
        MonthEarned.select()
        .where(MonthEarned.therapist == therapist)
        .order_by(MonthEarned.month.desc(), MonthEarned.currency)
    )
)
_KEY = (MonthEarned.therapist, MonthEarned.month, MonthEarned.currency)
_ADD = Statement[Any](
    lambda therapist, month, currency, payout, fee: MonthEarned.insert(
        therapist=therapist,
        month=month,
        currency=currency,
        sessions=1,
        payout_minor=payout,
        fee_minor=fee,
    ).on_conflict(
        conflict_target=_KEY,
        update={
            MonthEarned.sessions: MonthEarned.sessions + 1,
            MonthEarned.payout_minor: MonthEarned.payout_minor + payout,
            MonthEarned.fee_minor: MonthEarned.fee_minor + fee,
        },
    )
)


def payouts(therapist: Therapist, since: datetime, until: datetime) -> Iterator[LedgerLine]:
    """Those in [since, until), each with its booking, newest first; read in batches."""
    return in_batches(_BY_ID, [line_id for (line_id,) in _IDS.all(therapist.id, since, until)])


def payouts_page(
    therapist: Therapist, since: datetime, until: datetime, *, offset: int, limit: int
) -> list[LedgerLine]:
    return _PAGE.all(limit, offset, therapist.id, since, until)


def months(therapist: Therapist) -> list[MonthEarned]:
    """Newest first."""
    return _MONTHS.all(therapist.id)


def add_to_month(therapist: Therapist, payout: Payout) -> None:
    """In the transaction that writes the ledger's lines; the therapist is locked."""
    _ADD.run(therapist.id, _month(therapist, payout.at), *payout[1:])


def recount(therapist: Therapist) -> None:
    """For a therapist who is locked and whose time zone has changed."""
    MonthEarned.delete().where(MonthEarned.therapist == therapist).execute()
    if rows := sums_of_lines(therapist):
        statements.insert(*rows)


def sums_of_lines(therapist: Therapist) -> list[MonthEarned]:
    """What the sums by month must be, as `months` orders them."""
    by_key: dict[tuple[str, str], list[Payout]] = defaultdict(list)
    for payout in map(Payout._make, _ALL.each(therapist.id)):
        by_key[_month(therapist, payout.at), payout.currency].append(payout)
    newest_first = sorted(sorted(by_key), key=lambda key: key[0], reverse=True)
    return [_sum(therapist, *key, by_key[key]) for key in newest_first]


def _sum(therapist: Therapist, month: str, currency: str, payouts: Sequence[Payout]) -> MonthEarned:
    return MonthEarned(
        therapist=therapist.id,
        month=month,
        currency=currency,
        sessions=len(payouts),
        payout_minor=sum(each.payout_minor for each in payouts),
        fee_minor=sum(each.fee_minor for each in payouts),
    )


def _month(therapist: Therapist, at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(therapist.timezone)):%Y-%m}"
