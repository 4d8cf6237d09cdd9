"""Long lists are read a batch at a time."""

import pytest
from flask import Flask

from app.store.db.statements import Statement
from app.store.models import TimeOff
from app.store.queries import batches
from app.store.queries.batches import in_batches
from tests.scenarios.cast import MONDAY, Cast
from tests.web.conftest import counted_queries

pytestmark = pytest.mark.both_databases


def test_rows_come_in_the_order_of_their_ids_one_batch_at_a_time(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_SIZE", 2)
    by_ids = Statement[TimeOff](lambda ids: TimeOff.select().where(TimeOff.id.in_(ids)))
    made = [TimeOff.create(therapist=cast.asha, starts_at=MONDAY, ends_at=MONDAY) for _ in range(6)]
    ids = [row.id for row in reversed(made)]
    made[2].delete_instance()
    with counted_queries() as seen:
        rows = in_batches(by_ids, ids[:5])
        assert [next(rows).id, next(rows).id] == ids[:2]
        assert len(seen) == 1
        # One of the second batch has gone since.
        assert [row.id for row in rows] == [ids[2], ids[4]]
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert list(in_batches(by_ids, [])) == []
