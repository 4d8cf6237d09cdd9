"""Therapists by the command line: adding, changing, pausing, reactivating."""

from datetime import timedelta

import pytest

from app.rules.lifecycle import Actor
from app.store.models import Suppression, Therapist
from tests.harness.commands import ADD, Mindsum
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import Story


def test_an_added_therapist_is_listed_and_can_be_booked(mindsum: Mindsum) -> None:
    added = mindsum(
        *ADD, "--available", "Mon-Fri 09:00-17:00", "--meeting-url", "https://meet.example/a",
        "--no-free-consultation", "--json",
    ).data  # fmt: skip
    assert {name: added[name] for name in ("slug", "account", "rate", "available", "score")} == {
        "slug": "asha",
        "account": "active",
        "rate": {"amount": 6000, "currency": "GBP"},
        "available": "Mon-Fri 09:00-17:00",
        "score": 100.0,
    }
    assert added["free_consultation"] is False
    assert mindsum("therapist", "show", "asha", "--json").data == added
    assert added.pop("phone") is None
    assert mindsum("therapist", "list", "--json").data == [added]
    Story(None, None, None).ask("asha")  # type: ignore[arg-type]


def test_the_list_says_who_is_not_listed_because_no_email_arrives(mindsum: Mindsum) -> None:
    mindsum(*ADD)
    key = Therapist.get(slug="asha").email_key
    Suppression.create(address_key=key, reason="550 no such user", at=MONDAY)
    assert "active, unreachable: not listed" in mindsum("therapist", "list").out
    [row] = mindsum("therapist", "list", "--json").data
    assert row["unreachable_since"] == "2026-11-02T09:00:00Z"
    mindsum("therapist", "reachable", "asha")
    assert "unreachable" not in mindsum("therapist", "list").out


BAD_ADDITIONS = [
    (("--rate", "abc"), "--rate should be an amount in GBP above zero, such as 60.00, not 'abc'"),
    (
        ("--rate", "60.005"),
        "--rate should be an amount in GBP above zero, such as 60.00, not '60.005'",
    ),
    (("--rate", "0"), "--rate should be an amount in GBP above zero, such as 60.00, not '0'"),
    (("--rate", "0.00"), "--rate should be an amount in GBP above zero, such as 60.00, not '0.00'"),
    (("--rate", "-5"), "--rate should be an amount in GBP above zero, such as 60.00, not '-5'"),
    (("--slug", "Asha Rao"), "--slug should be lower-case letters"),
    (("--name", " "), "--name: Please give a name, not ' '"),
    (("--name", "Asha\nBcc: x"), "--name: Please leave control characters"),
    (("--email", "asha"), "--email: Please give an email address"),
    (("--timezone", "London"), "--timezone: Please give a time zone such as Europe/London"),
    (("--available", "Mon nine to five"), '--available: "Mon nine to five" is not days and hours'),
    (("--available", "Mon 09:05-17:00"), "--available: 09:05 is not on a quarter hour"),
    (("--meeting-url", "meet.example"), "--meeting-url"),
    (("--name", "\u2800"), "--name: Please give a name that can be seen"),
    (("--given-name", "\u202eahsA"), "--given-name"),
]


@pytest.mark.parametrize(
    ("flags", "called"),
    [
        (("--name", "Dr. Asha Rao"), "Asha"),
        (("--name", "Rao, Asha"), "Asha"),
        (("--given-name", "Dr Rao"), "Dr Rao"),
    ],
)
def test_a_therapist_is_added_with_a_given_name_or_one_is_derived(
    mindsum: Mindsum, flags: tuple[str, ...], called: str
) -> None:
    assert mindsum(*ADD, *flags, "--json").data["given_name"] == called


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("flag", "line"), BAD_ADDITIONS)
def test_a_bad_value_is_named_with_what_is_right_and_nothing_is_added(
    mindsum: Mindsum, flag: tuple[str, str], line: str
) -> None:
    assert mindsum(*ADD, *flag).mistake.startswith(line)
    assert Therapist.select().count() == 0


def test_a_taken_slug_or_address_is_a_mistake_too(mindsum: Mindsum) -> None:
    assert mindsum(*ADD).status == 0
    assert mindsum(*ADD, "--email", "other@therapists.example").mistake == (
        "--slug asha belongs to another therapist; choose another"
    )
    assert mindsum(*ADD, "--slug", "bran", "--email", "ASHA@therapists.example").mistake == (
        "--email ASHA@therapists.example belongs to another therapist; choose another"
    )


def test_pausing_and_hiding_can_be_undone(story: Story, mindsum: Mindsum) -> None:
    def account(*words: str) -> str:
        return str(mindsum("therapist", *words, "--json").data["account"])

    assert account("hide", "asha") == "hidden"
    assert account("pause", "asha") == "paused"
    assert account("pause", "asha", "--off") == "hidden"
    assert account("hide", "asha", "--off") == "active"


def test_an_account_is_changed_by_the_rules_of_profile_settings(
    story: Story, mindsum: Mindsum
) -> None:
    changed = mindsum(
        "therapist", "set", "asha", "--rate", "75.50", "--timezone", "Europe/Paris",
        "--available", "Mon 09:00-12:00", "--meeting-url", "", "--no-free-consultation",
        "--email", "rao@therapists.example", "--name", "Asha R Rao", "--json",
    ).data  # fmt: skip
    assert changed["rate"]["amount"] == 7550
    assert (changed["timezone"], changed["available"]) == ("Europe/Paris", "Mon 09:00-12:00")
    assert (changed["meeting_url"], changed["free_consultation"]) == (None, False)
    assert (changed["email"], changed["name"]) == ("rao@therapists.example", "Asha R Rao")
    assert mindsum("therapist", "show", "asha", "--json").data == changed
    for option, value in (
        ("--rate", "0"),
        ("--meeting-url", f"https://meet.example/{'a' * 500}"),
        ("--timezone", "Mars/Olympus"),
        ("--email", "bran@therapists.example"),
    ):
        words = ("therapist", "set", "asha", "--name", "Changed", option, value)
        assert mindsum(*words).mistake.startswith(option)
    assert "needs something" in mindsum("therapist", "set", "asha").mistake
    assert mindsum("therapist", "set", "nobody", "--name", "A").status == 2
    assert mindsum("therapist", "show", "asha", "--json").data == changed


def test_only_a_deactivated_account_can_be_reactivated(story: Story, mindsum: Mindsum) -> None:
    assert mindsum("therapist", "reactivate", "asha").mistake == (
        "asha is active; only a deactivated account can be reactivated"
    )
    for day in range(1, 6):
        booking = story.ask(starts_at=MONDAY + timedelta(days=day, hours=6))
        story.accept(booking)
        story.cancel(booking, Actor.THERAPIST)
    story.sweep()
    assert mindsum("therapist", "show", "asha", "--json").data["account"] == "deactivated"
    back = mindsum("therapist", "reactivate", "asha", "--json").data
    assert (back["account"], back["streak"], back["flagged"]) == ("active", 0, False)
