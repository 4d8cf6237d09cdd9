"""Every page ends with the operator's own words on where to turn in a crisis."""

import pytest
from flask import Flask

from app import config
from app.web.template_filters import phone_links
from tests.harness.every import for_every
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor

# None of this depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("path", ["/", "/therapists/asha", "/my-links", "/sign-in", "/nope"])
def test_a_page_ends_with_the_crisis_note_of_the_settings(
    app: Flask, cast: Cast, visitor: Visitor, path: str
) -> None:
    settings = config.current()
    note = "In danger? Call 112 & ask, or <Tele> 143."
    config.use(settings.model_copy(update={"crisis_note": note}))
    try:
        foot = visitor.get(path).text.rpartition("<footer")[2]
    finally:
        config.use(settings)
    assert '<a href="tel:112">112</a> &amp; ask, or &lt;Tele&gt; <a href="tel:143">' in foot
    assert "Samaritans" not in foot


@for_every(
    [
        ("Call 999.", 'Call <a href="tel:999">999</a>.'),
        ("on 116 123, free", 'on <a href="tel:116123">116 123</a>, free'),
        ("+44 20-79460018", '<a href="tel:+4420-79460018">+44 20-79460018</a>'),
        ("24/7, all 7 days", "24/7, all 7 days"),
        ("nothing", "nothing"),
    ]
)
def test_a_phone_number_can_be_called(text: str, linked: str, database_url: str) -> None:
    assert str(phone_links(text)) == linked
