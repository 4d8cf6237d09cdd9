"""Profile Settings: what is saved, what is refused by name and kept, and who may do so."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.rules.lifecycle import Kind
from app.rules.weekly_hours import Window as OpenWindow
from app.rules.weekly_hours import format_windows
from app.services import availability
from app.services.therapists import profile
from app.services.therapists.profile import Away
from app.store.models import Therapist, TimeOff, Window
from tests.harness.page_stories import all_rows, forms, now_of, sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import MONDAY, Cast
from tests.scenarios.story import ELI, Story
from tests.web.conftest import Visitor, counted_queries

PROFILE = "/dashboard/profile"


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


def send(visitor: Visitor, form: str, *, follow: bool = True, **typed: str) -> TestResponse:
    """Press the button of one of the forms, with some of its fields changed."""
    [found] = [each for each in forms(visitor.get(PROFILE)) if each.action.endswith(form)][:1]
    return visitor.post(found.action, data={**found.fields, **typed}, follow_redirects=follow)


def hours_of(slug: str) -> str:
    rows = Window.select().join(Therapist).where(Therapist.slug == slug)
    return format_windows(OpenWindow(r.weekday, r.start_minute, r.end_minute) for r in rows)


def test_the_page_shows_everything_as_it_is(asha: Visitor) -> None:
    page = asha.get(PROFILE)
    found = {name: text for form in forms(page) for name, text in form.fields.items()}
    assert found["rate"] == "60.00"
    assert found["timezone"] == "Europe/London"
    assert (found["monday_from"], found["monday_to"]) == ("09:00", "17:00")
    assert found["name"] == "Asha Rao"
    assert "London, GMT" in page.text
    assert "Visible" in page.text


Rows = dict[str, list[tuple[str, str]]]


def rows_on(page: TestResponse) -> Rows:
    """What the rows of hours show, by day."""
    shown: Rows = {}
    texts = re.findall(r'name="(\w+)_(?:from|to)" value="([^"]*)"', page.text)
    for (day, start), (_, end) in zip(texts[::2], texts[1::2], strict=True):
        shown.setdefault(day, []).append((start, end))
    return shown


def send_hours(
    asha: Visitor, button: str, changes: Rows, page: TestResponse | None = None, **more: str
) -> TestResponse:
    """Press a button of Weekly availability, with other rows for some days."""
    page = page or asha.get(PROFILE)
    fields: dict[str, Any] = next(f for f in forms(page) if f.action.endswith("/hours")).fields
    for day, periods in (rows_on(page) | changes).items():
        fields[f"{day}_from"] = [start for start, _ in periods]
        fields[f"{day}_to"] = [end for _, end in periods]
    return asha.post(PROFILE + button, data={**fields, **more}, follow_redirects=True)


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS_OFF: Rows = {day: [("", "")] for day in WEEKDAYS}


def test_hours_are_saved_as_people_write_them_and_a_day_left_empty_is_off(asha: Visitor) -> None:
    monday = [("9", "12:30"), ("", ""), ("1.30pm", "5")]
    done = send_hours(
        asha, "/hours", {**DAYS_OFF, "monday": monday, "tuesday": [("00:00", "24:00")]}
    )
    assert "Saved." in done.text
    assert hours_of("asha") == "Mon 09:00-12:30, Mon 13:30-17:00, Tue 00:00-24:00"
    assert hours_of("bran") == "Mon-Sun 09:00-17:00"
    shown = rows_on(asha.get(PROFILE))
    assert shown["monday"] == [("09:00", "12:30"), ("13:30", "17:00")]
    assert shown["wednesday"] == [("", "")]


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("nine", "five", "is not a time of day: write it like 09:00 or 5pm"),
        ("09:10", "17:00", "09:10 is not on a quarter hour: use 09:00 or 09:15"),
        ("17:00", "09:00", "does not end after it begins"),
        ("09:00", "", "Please give both times, or leave both empty."),
        ("16:00", "18:00", "overlap: join them, or end one sooner"),
        ("09:00", "25:00", "25:00 is not a time of day: use 00:00 up to 24:00"),
        ("2", "5", "may be in the morning or in the afternoon"),
        ("<b>", "17:00", "&lt;b&gt;"),
    ],
)
def test_hours_that_are_wrong_are_named_and_kept_with_the_rest(
    start: str, end: str, said: str, asha: Visitor
) -> None:
    rows = all_rows()
    thursday = [("15:00", "17:00"), (start, end)]
    refused = send_hours(asha, "/hours", {"thursday": thursday, "friday": [("10", "11")]})
    assert refused.status_code == 422
    assert said in refused.text
    assert 'href="#thursday"' in refused.text
    shown = rows_on(refused)
    assert [unescape(text) for text in shown["thursday"][1]] == [start, end]
    assert shown["friday"] == [("10", "11")]
    assert all_rows() == rows


def test_a_row_is_added_without_saving_or_losing_anything(asha: Visitor) -> None:
    rows = all_rows()
    typed: Rows = {"monday": [("9", "x")], "tuesday": [("", "")]}
    page = send_hours(asha, "/hours-rows", typed, rows="add-monday", headline="Calm.")
    assert page.status_code == 200
    assert rows_on(page)["monday"] == [("9", "x"), ("", "")]
    assert rows_on(page)["tuesday"] == [("", "")]
    assert 'value="Calm."' in page.text
    [focused] = re.findall(r"<input[^>]*autofocus[^>]*>", page.text)
    assert 'aria-label="Monday, period 2, from"' in focused
    assert all_rows() == rows
    monday = [("9", "12"), ("14:00", "17:00")]
    send_hours(asha, "/hours", {"monday": monday}, page)
    assert hours_of("asha").startswith("Mon 09:00-12:00, Mon 14:00-17:00, Wed-Sun 09:00-17:00")


@pytest.mark.parametrize(
    ("to", "days"),
    [
        ("Monday to Friday", WEEKDAYS[:5]),
        ("every day", WEEKDAYS),
        ("Sunday", ("monday", "sunday")),
    ],
)
def test_a_days_hours_are_copied_to_others_and_saved_with_them(
    to: str, days: tuple[str, ...], asha: Visitor
) -> None:
    rows, monday = all_rows(), [("9", "12"), ("", ""), ("13:00", "16:15")]
    typed = {**DAYS_OFF, "monday": monday}
    page = send_hours(asha, "/hours-rows", typed, rows="copy", copy_from="monday", copy_to=to)
    assert "Monday’s hours are copied. Save availability to keep them." in page.text
    shown = rows_on(page)
    assert {day for day in WEEKDAYS if shown[day] == [monday[0], monday[2]]} == {*days}
    assert all_rows() == rows
    send_hours(asha, "/hours", {}, page)
    windows = Window.select().join(Therapist).where(Therapist.slug == "asha")
    assert {WEEKDAYS[each.weekday] for each in windows} == {*days}


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"rows": "add-someday"},
        {"rows": "copy", "copy_from": "someday", "copy_to": "every day"},
        {"rows": "copy", "copy_from": "monday", "copy_to": "never"},
    ],
)
def test_a_change_of_rows_that_does_not_exist_is_refused(
    sent: dict[str, str], asha: Visitor
) -> None:
    assert send_hours(asha, "/hours-rows", {}, **sent).status_code == 400


def test_the_offer_is_saved_and_bookings_keep_their_price(story: Story, asha: Visitor) -> None:
    before = story.ask()
    page = send(asha, "/offer", rate="75.5", timezone="America/New_York", meeting_url="")
    assert "Saved." in page.text
    asha_now = Therapist.get(slug="asha")
    assert (asha_now.rate_minor, asha_now.timezone) == (7550, "America/New_York")
    assert (asha_now.meeting_url, asha_now.offers_free_consultation) == (None, True)
    assert now_of(before).fee_minor == 6000
    assert "New York, EST" in page.text


def test_the_free_consultation_is_switched_off_by_not_ticking_it(asha: Visitor) -> None:
    form = next(f for f in forms(asha.get(PROFILE)) if f.action.endswith("/offer"))
    del form.fields["offers_free_consultation"]
    asha.post(form.action, data=form.fields)
    assert Therapist.get(slug="asha").offers_free_consultation is False


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("rate", "60,50", "Please give an amount in GBP above zero, such as 60.00."),
        ("rate", "0", "Please give an amount in GBP above zero, such as 60.00."),
        ("rate", "-5", "Please give an amount in GBP above zero, such as 60.00."),
        ("rate", "99999999", "Please give an amount in GBP above zero, such as 60.00."),
        ("timezone", "Mars/Olympus", "Please give a time zone such as Europe/London."),
        ("meeting_url", "javascript:alert(1)", "Please give a web address such as"),
        ("meeting_url", "https://x.example/" + "a" * 500, "500 characters or fewer"),
    ],
)
def test_a_wrong_offer_is_named_and_kept(field: str, typed: str, said: str, asha: Visitor) -> None:
    rows = all_rows()
    changed = {"meeting_url": "https://new.example/room", field: typed}
    refused = send(asha, "/offer", **changed)
    assert refused.status_code == 422
    assert said in refused.text
    kept = next(form for form in forms(refused) if form.action.endswith("/offer")).fields
    assert {name: kept[name] for name in changed} == changed
    assert all_rows() == rows


def test_what_clients_read_is_saved_in_order(asha: Visitor) -> None:
    send(
        asha,
        "/about",
        name=" Asha   Rao ",
        headline="Calm \N{SNOWMAN}",
        about="One.\r\nTwo.",
        specialisms="Grief , Sleep,,grief, Trauer, TRAUER",
        qualifications=" MBACP,  BSc",
        languages="English,Hindi, HINDI ,english",
    )
    found = Therapist.get(slug="asha")
    assert (found.name, found.headline) == ("Asha Rao", "Calm \N{SNOWMAN}")
    assert (found.about, found.specialisms) == ("One.\nTwo.", "Grief, Sleep, Trauer")
    assert (found.qualifications, found.languages) == ("MBACP, BSc", "English, Hindi")
    assert found.languages_search == "english, hindi"


def test_what_clients_call_a_therapist_is_their_own_choice(asha: Visitor) -> None:
    send(asha, "/about", given_name="Dr Rao")
    assert Therapist.get(slug="asha").given_name == "Dr Rao"
    assert "Hello Dr Rao." in asha.get("/dashboard").text
    send(asha, "/about", name="Rao, Prof. Aisha", given_name=" ")
    assert Therapist.get(slug="asha").given_name == "Aisha"
    refused = send(asha, "/about", name="Ms", given_name="")
    assert "Please say what to call you" in refused.text
    assert Therapist.get(slug="asha").given_name == "Aisha"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("name", "", "Please give a name."),
        ("name", "\u2800", "a name that can be seen"),
        ("given_name", "\u2066A", "invisible characters"),
        ("headline", "x" * 201, "Please keep it to 200 characters or fewer."),
        ("headline", "a\u202eb", "invisible characters out of it."),
        ("about", "x" * 4001, "Please keep it to 4000 characters or fewer."),
        ("specialisms", "x" * 501, "Please keep it to 500 characters or fewer."),
        ("qualifications", "x" * 301, "Please keep it to 300 characters or fewer."),
        ("languages", "x" * 201, "Please keep it to 200 characters or fewer."),
    ],
)
def test_wrong_words_are_named_and_kept(field: str, typed: str, said: str, asha: Visitor) -> None:
    rows = all_rows()
    refused = send(asha, "/about", **{field: typed})
    assert refused.status_code == 422
    assert said in refused.text
    kept = next(form for form in forms(refused) if form.action.endswith("/about")).fields
    assert kept[field].strip() == typed
    assert all_rows() == rows


def away(asha: Visitor, first_on: str, from_at: str, last_on: str, until_at: str) -> TestResponse:
    return send(
        asha,
        "/add-time-off",
        first_on=first_on,
        from_at=from_at,
        last_on=last_on,
        until_at=until_at,
    )


def test_whole_days_off_run_from_midnight_to_midnight_of_the_own_zone(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, "bran@therapists.example")
    page = away(visitor, "2026-12-24", "", "2026-12-26", "")
    found = TimeOff.get()
    assert found.starts_at == datetime(2026, 12, 24, 5, tzinfo=UTC)
    assert found.ends_at == datetime(2026, 12, 27, 5, tzinfo=UTC)
    assert "Thu 24 Dec 2026 to Sat 26 Dec 2026, all day<" in page.text
    assert "cannot ask for these times" in page.text


def test_time_off_says_which_accepted_sessions_lie_in_it(story: Story, asha: Visitor) -> None:
    for client, hour in (("Dee Stone", 10), ("Eli Park", 11)):
        start = datetime(2026, 11, 4, hour, tzinfo=UTC)
        story.accept(story.ask(client=(client, f"{hour}@x.example", ELI[2]), starts_at=start))
    one = away(asha, "2026-11-04", "11:00", "2026-11-04", "12:00")
    assert "one accepted session" in one.text
    two = away(asha, "2026-11-04", "", "2026-11-04", "")
    assert "2 accepted sessions" in two.text


def test_nobody_can_ask_for_a_time_off_until_it_is_removed(cast: Cast, asha: Visitor) -> None:
    tuesday = datetime(2026, 11, 3, 10, tzinfo=UTC)

    def is_open() -> bool:
        day_end = datetime(2026, 11, 4, tzinfo=UTC)
        asha_now = Therapist.get(slug="asha")
        return tuesday in availability.open_times(
            asha_now, Kind.PAID, from_at=tuesday, until_at=day_end, now=MONDAY
        )

    assert is_open()
    away(asha, "2026-11-03", "09:00", "2026-11-03", "12:00")
    assert not is_open()
    removed = send(asha, "/remove-time-off")
    assert "Removed." in removed.text
    assert is_open()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("2027-03-28", "01:30", "2027-03-29", ""), "skip 01:30: please give 02:30 instead."),
        (("2027-03-27", "", "2027-03-28", "01:30"), "skip 01:30: please give 02:30 instead."),
        (("2026-12-24", "", "2026-12-23", ""), "Please choose an end after the start."),
        (("2026-10-24", "", "2026-10-25", ""), "Please choose an end that is still ahead."),
        (("", "", "2026-12-23", ""), "Please give a day such as 2026-12-24."),
        (("2026-12-24", "25:00", "2026-12-25", ""), "Please give a time such as 09:30"),
        (("2026-12-24", "9", "2026-12-25", "x"), "Please give a time such as 09:30"),
        (("2999-12-31", "", "2999-12-31", ""), "Please give a day within five years."),
        (("0001-01-01", "", "2026-12-25", ""), "Please give a day such as 2026-12-24."),
    ],
)
def test_time_off_that_cannot_be_is_refused_by_name_and_kept(
    typed: tuple[str, str, str, str], said: str, asha: Visitor
) -> None:
    refused = away(asha, *typed)
    assert refused.status_code == 422
    assert said in refused.text
    kept = next(f for f in forms(refused) if f.action.endswith("/add-time-off")).fields
    assert (kept["first_on"], kept["from_at"], kept["last_on"], kept["until_at"]) == typed
    assert not TimeOff.select().count()


def test_of_a_local_time_that_comes_twice_the_first_is_meant(asha: Visitor) -> None:
    away(asha, "2027-10-31", "01:30", "2027-10-31", "03:00")
    assert TimeOff.get().starts_at == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "state", "said"),
    [("/pause", "paused", "Temporarily deactivated"), ("/hide", "hidden", "Invisible")],
)
def test_visibility_is_switched_and_back_and_pressing_twice_changes_nothing(
    form: str, state: str, said: str, asha: Visitor
) -> None:
    shown = next(each for each in forms(asha.get(PROFILE)) if each.action.endswith(form))
    for _ in range(2):
        page = asha.post(shown.action, data=shown.fields, follow_redirects=True)
        assert said in page.text
        assert Therapist.get(slug="asha").state == state
    send(asha, form)
    assert Therapist.get(slug="asha").state == "active"


def test_another_therapists_time_off_cannot_be_removed(asha: Visitor) -> None:
    theirs = profile.add_time_off(
        "bran",
        Away(datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)),
        MONDAY,
    )
    token = forms(asha.get(PROFILE))[0].fields["csrf_token"]
    for number in (str(theirs.id), "0", "x", "-1", "9" * 30):
        answer = asha.post(f"{PROFILE}/remove-time-off", data={"csrf_token": token, "id": number})
        assert answer.status_code == 404
    assert TimeOff.select().count() == 1
    assert "1 Dec" not in asha.get(PROFILE).text


def test_signed_out_half_way_nothing_typed_is_lost(asha: Visitor, cast: Cast) -> None:
    form = next(each for each in forms(asha.get(PROFILE)) if each.action.endswith("/about"))
    asha.delete_cookie("mindsum-session", domain="localhost")
    typed = {**form.fields, "about": "A long text that took an hour."}
    answer = asha.post(form.action, data=typed)
    assert answer.status_code == 401
    assert "A long text that took an hour." in answer.text
    assert f'value="{PROFILE}"' in answer.text


def test_the_page_stays_small_with_a_long_text_and_needs_few_queries(
    story: Story, asha: Visitor
) -> None:
    with counted_queries() as few:
        asha.get(PROFILE)
    send(asha, "/about", about="wörd " * 790)
    for day in range(8):
        away(asha, f"2026-12-{day + 10}", "", f"2026-12-{day + 10}", "")
        story.ask(starts_at=datetime(2026, 11, 10 + day, 10, tzinfo=UTC))
    with counted_queries() as many:
        page = asha.get(PROFILE)
    assert len(many) == len(few) <= 6
    assert len(page.data) < 40_000


def test_time_off_added_twice_is_there_once(asha: Visitor) -> None:
    for _ in range(2):
        done = send(asha, "/add-time-off", first_on="2026-12-24", last_on="2026-12-26")
        assert "Added." in done.text
    assert TimeOff.select().count() == 1
