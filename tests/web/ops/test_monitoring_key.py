"""Where MONITORING_KEY is set, only its holder reads how the service fares."""

import pytest
from flask import Flask

from app import config
from app.store.models import AccessEntry
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor

KEY = "a-long-and-random-key"


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_metrics_and_readiness_ask_for_the_monitoring_key(
    app: Flask, cast: Cast, visitor: Visitor, path: str
) -> None:
    config.use(config.current().model_copy(update={"monitoring_key": KEY}))
    for sent in ({}, {"Authorization": "Bearer test-api-key"}, {"Authorization": f"Basic {KEY}"}):
        refused = visitor.get(path, headers=sent)
        assert refused.status_code == 401
        assert "Bearer" in refused.headers["WWW-Authenticate"]
        assert KEY not in refused.text
    assert {each.event for each in AccessEntry.select()} == {"wrong_key"}
    assert visitor.get("/healthz").status_code == 200
    answer = visitor.get(path, headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code in (200, 503)
    assert "scheduler" in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_without_a_monitoring_key_they_answer_everybody(
    cast: Cast, visitor: Visitor, path: str
) -> None:
    assert visitor.get(path).status_code in (200, 503)
