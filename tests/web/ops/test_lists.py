"""The desk's lists: each row is a link, wherever it is touched."""

import re
from datetime import timedelta

from flask import Flask

from app.services.therapists import accounts
from app.store.models import Therapist
from tests.harness.page_stories import sign_in_as_ops
from tests.scenarios.story import ELI, Story
from tests.web.conftest import Visitor


def test_each_row_has_one_link_that_covers_all_of_it(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    sign_in_as_ops(app, story.mail, visitor)
    accounts.replace_phone(Therapist.get(slug="asha"), "+442079460000")
    late = story.ask()
    moved = story.ask(starts_at=late.starts_at + timedelta(days=1), client=ELI)
    story.propose(moved, late.starts_at + timedelta(days=2))
    story.wait(hours=4)
    story.ask("bran", starts_at=late.starts_at + timedelta(hours=5))
    pages = {
        "/ops": 3,
        "/ops/bookings": 3,
        "/ops/therapists": 3,
        f"/ops/bookings/{late.reference}": 2,
        "/ops/outbox": 6,
    }
    for path, least in pages.items():
        lists = re.findall(r'<ul class="(?:lines|cards)".*?</ul>', visitor.get(path).text, re.S)
        rows = [row for row in re.findall(r"<li.*?</li>", "".join(lists), re.S) if "<a " in row]
        assert len(rows) >= least, path
        for row in rows:
            if '<a class="line"' in row:
                continue
            assert "position-relative" in row.partition("<a ")[0], row
            links = re.findall(r'<a class="([^"]*)"', row)
            assert len(links) == row.count("<a "), row
            assert sum("stretched-link" in each for each in links) == 1, row
            assert [each for each in links if not re.search("stretched|above", each)] == [], row
