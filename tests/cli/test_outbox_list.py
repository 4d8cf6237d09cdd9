"""`mindsum outbox list` says how many emails it leaves out."""

import json

import pytest
from flask import Flask

from app.cli import run
from app.store import outbox, queries
from app.store.models import Role
from tests.scenarios.story import Story


def listed(app: Flask, *words: str) -> int:
    return run(["outbox", "list", *words], create=lambda: app)


def test_a_limited_list_says_how_many_more_there_are(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    story.deliver()
    for ordinal in range(52):
        outbox.enqueue("account_alert", Role.OPS, about="a story", ordinal=ordinal, now=story.now)
    for words, more in (((), 4), (("--status", "queued"), 2), (("--limit", "53"), 1)):
        assert listed(app, *words) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith(f"… and {more} more: --limit")
    assert listed(app, "--json") == 0
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == 50
    assert printed.err.startswith("… and 4 more")


@pytest.mark.both_databases
@pytest.mark.parametrize("words", [(), ("--status", "queued"), ("--status", "failed")])
def test_a_complete_list_says_nothing_more(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    story.ask()
    assert listed(app, *words) == 0
    printed = capsys.readouterr()
    assert "more:" not in printed.out + printed.err


@pytest.mark.both_databases
def test_an_email_about_a_therapist_is_listed_with_their_slug(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox.enqueue(
        "account_reactivated", Role.THERAPIST, about="therapist-2",
        therapist=queries.therapist_by_slug("bran"), now=story.now,
    )  # fmt: skip
    booking = story.ask()
    assert listed(app, "--json") == 0
    abouts = {each["about"] for each in json.loads(capsys.readouterr().out)}
    assert abouts == {"bran", booking.reference}
