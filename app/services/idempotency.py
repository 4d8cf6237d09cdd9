"""Idempotency keys: a request or form that is sent again gets the answer it got before."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from peewee import IntegrityError

from app.errors import (
    DomainError,
    FreeConsultationUsed,
    IdempotencyConflict,
    SlotTaken,
    TherapistUnavailable,
)
from app.store.db.database import in_transaction
from app.store.db.statements import Statement
from app.store.models import IdempotentAnswer

# These are answers, so they are kept; bad input can be corrected and sent again.
KEPT_REFUSALS = (TherapistUnavailable, FreeConsultationUsed, SlotTaken)


_KEPT = Statement[IdempotentAnswer](
    lambda key: IdempotentAnswer.select().where(IdempotentAnswer.key == key)
)


@dataclass(frozen=True, slots=True)
class Answer:
    http_status: int
    body: str


def answer_once(
    key: str,
    body_hash: str,
    *,
    now: datetime,
    work: Callable[[], Answer],
    refusal: Callable[[DomainError], Answer],
) -> Answer:
    """The answer stored under `key`, or else the answer of `work`, stored in its transaction.

    If `work` raises one of KEPT_REFUSALS, it is rolled back and `refusal` makes the answer. Of
    several callers at once, one does the work and all get its answer. Raises IdempotencyConflict if
    the stored answer is to another body, and whatever else `work` raises.
    """
    try:
        return _first_or_kept(key, body_hash, now, work)
    except KEPT_REFUSALS as refused:
        answer = refusal(refused)
    return _first_or_kept(key, body_hash, now, lambda: answer)


def first_result(key: str, work: Callable[[], str], *, now: datetime) -> str:
    """What `work` returned when it first succeeded under `key`; otherwise its result now.

    Refusals are raised, not kept: a form that is sent again later may be possible then.
    """
    try:
        return _first_or_kept(key, key, now, lambda: Answer(HTTPStatus.OK, work())).body
    except KEPT_REFUSALS:
        # Another caller with this key may have done the work while we waited for its locks.
        kept = _KEPT.first(key)
        if kept is None:
            raise
        return str(kept.body)


def _first_or_kept(key: str, body_hash: str, now: datetime, work: Callable[[], Answer]) -> Answer:
    try:
        return _answer(key, body_hash, now, work)
    except IntegrityError:
        # Another caller committed first; our rows were rolled back.
        return _answer(key, body_hash, now, work)


@in_transaction
def _answer(key: str, body_hash: str, now: datetime, work: Callable[[], Answer]) -> Answer:
    kept = _KEPT.first(key)
    if kept is not None:
        if kept.body_hash != body_hash:
            raise IdempotencyConflict
        return Answer(kept.http_status, kept.body)
    answer = work()
    IdempotentAnswer.create(
        key=key,
        body_hash=body_hash,
        http_status=answer.http_status,
        body=answer.body,
        created_at=now,
    )
    return answer
