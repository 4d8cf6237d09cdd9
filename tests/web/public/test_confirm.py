"""Between the form and the booking: an address is confirmed from its mailbox."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import config
from app.errors import NotFound
from app.rules.lifecycle import Kind, Status
from app.services.clients.erase import erase_client
from app.services.therapists import accounts
from app.store.models import (
    Booking,
    Client,
    HeldTime,
    OutboxEmail,
    PendingRequest,
    TimelineEntry,
    Writing,
)
from tests.harness.page_stories import all_rows, forms, link, press
from tests.harness.pages import ASHA, TUESDAY_10, ask, filled, text
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor

CHECK_EMAIL = f"{ASHA}/requested"


@pytest.fixture(autouse=True)
def asks_for_confirmation(app: Flask) -> Iterator[None]:
    """The site as it is unless CONFIRM_ADDRESS says otherwise."""
    before = config.current()
    config.use(before.model_copy(update={"confirm_address": "new"}))
    yield
    config.use(before)


@pytest.fixture
def confirm_link(story: Story) -> Callable[[], str]:
    """The newest Confirm Request link."""
    return lambda: link(story.app, story.mail, "confirm_request", "Confirm Request")


def typed(visitor: Visitor, **changed: str) -> Any:
    """Send the form; the page that follows it."""
    answer = visitor.post(ASHA, data=filled(visitor, **changed))
    assert (answer.status_code, answer.headers["Location"]) == (303, CHECK_EMAIL)
    return visitor.get(CHECK_EMAIL)


@pytest.mark.both_databases
def test_until_it_is_confirmed_a_request_is_an_email_and_a_held_time_and_nothing_else(
    story: Story, visitor: Visitor
) -> None:
    page = typed(visitor)
    assert "dee@clients.example" in text(page)
    assert "Confirm Request" in text(page)
    assert story.deliver() == [("confirm_request", "dee@clients.example")]
    for table in (Booking, Client, TimelineEntry, Writing):
        assert not table.select().exists()
    assert HeldTime.select().count() == 4
    assert "2026-11-03T10:00:00Z" not in another_visitor(story.app).get(ASHA).text


def test_the_email_has_one_link_and_no_note(story: Story, visitor: Visitor) -> None:
    typed(visitor)
    [sent] = story.sent()
    words = sent.parsed.get_body(("plain",)).get_content()
    assert words.count("Confirm Request:") == words.count("/link/") == 1
    assert "A note for Asha" not in sent.parsed.as_string()
    assert "X-Mindsum-Booking" not in sent.parsed


def test_pressing_the_link_makes_the_request_and_pressing_again_shows_it_again(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor)
    path = confirm_link()
    before = all_rows()
    opened = another_visitor(story.app).get(path)
    assert opened.status_code == 200
    assert "Asha" in text(opened)
    assert "A note for Asha" not in text(opened)
    assert all_rows() == before
    for _ in range(2):
        pressed = another_visitor(story.app).post(path)
        assert pressed.status_code == 200
        assert Booking.get().reference in text(pressed)
    booking = Booking.get()
    assert (booking.status, booking.starts_at) == (Status.REQUESTED, TUESDAY_10)
    assert (booking.client.email, booking.client_timezone) == (
        "dee@clients.example",
        "America/New_York",
    )
    assert Writing.get().body == "A note for Asha"
    assert story.timeline(booking) == [("requested", "client", "page")]
    assert {row.booking_id for row in HeldTime.select()} == {booking.id}
    assert [kind for kind, _ in story.deliver()] == ["booking_requested", "booking_received"]
    assert another_visitor(story.app).get(path).status_code == 200


def test_the_page_of_the_browser_that_typed_it_never_tells_that_it_was_confirmed(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    before = typed(visitor).text
    another_visitor(story.app).post(confirm_link())
    assert without_tokens(visitor.get(CHECK_EMAIL).text) == without_tokens(before)


def without_tokens(page: str) -> str:
    """A page without what is random in every form."""
    return re.sub(r'name="(csrf_token|form_key)"[^>]*>', "", page)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_form_answers_the_same_for_a_client_a_therapist_and_a_stranger(
    story: Story, kind: Kind
) -> None:
    known = {
        "a client": "client@people.example",
        "a therapist": "expert@people.example",
        "neither": "person@people.example",
    }
    story.ask(client=("Dee Stone", known["a client"], "UTC"), kind=Kind.FREE_CONSULTATION)
    accounts.change_address("bran", known["a therapist"], story.now)
    pages = set()
    for address in known.values():
        visitor = another_visitor(story.app)
        answer = visitor.post(ASHA, data=filled(visitor, email=address, kind=kind))
        page = visitor.get(CHECK_EMAIL)
        shown = without_tokens(page.text)
        # The same time is open again once its hold is over.
        story.wait(minutes=30)
        headers = tuple(name for name, _ in page.headers)
        pages.add((answer.status_code, answer.text, headers, shown.replace(address, "ADDRESS")))
    assert len(pages) == 1


def test_pressed_after_the_hold_it_books_if_the_time_is_still_open(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor)
    path = confirm_link()
    story.wait(minutes=30)
    assert "2026-11-03T10:00:00Z" in another_visitor(story.app).get(ASHA).text
    story.sweep()
    assert not HeldTime.select().exists()
    assert visitor.post(path).status_code == 200
    assert Booking.get().starts_at == TUESDAY_10


@pytest.mark.both_databases
def test_a_time_that_is_gone_is_told_with_what_was_typed_and_other_times(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor)
    path = confirm_link()
    story.wait(minutes=30)
    taken = ask()
    refused = visitor.post(path)
    assert refused.status_code == 409
    assert "not open any more" in text(refused)
    assert "A note for Asha" in text(refused)
    [form] = forms(refused)
    again = visitor.post(path, data={**form.fields, "starts_at": "2026-11-03T12:00:00Z"})
    assert again.status_code == 200
    assert Booking.select().where(Booking.id != taken.id).get().starts_at.hour == 12
    assert Writing.get().body == "A note for Asha"


def test_only_the_owner_of_the_mailbox_learns_that_a_free_consultation_is_used(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    used = ask(email="dee@clients.example", kind=Kind.FREE_CONSULTATION)
    typed(visitor, kind="free_consultation", starts_at="2026-11-03T12:00:00Z")
    path = confirm_link()
    refused = visitor.post(path)
    assert refused.status_code == 409
    assert "free consultation" in text(refused)
    [form] = forms(refused)
    assert form.fields["kind"] == "paid"
    assert visitor.post(path, data={**form.fields, "starts_at": "2026-11-03T12:00:00Z"})
    made = Booking.select().where(Booking.id != used.id).get()
    assert (made.kind, made.starts_at.hour) == (Kind.PAID, 12)


def test_the_page_tells_the_rule_of_cancelling_for_that_time(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    story.at(story.now.replace(hour=13))
    typed(visitor, starts_at="2026-11-03T09:00:00Z")
    near = text(visitor.get(confirm_link()))
    assert "once accepted, cancelling costs £60.00" in near
    assert "more than 24 hours" not in near
    story.wait(minutes=1)
    typed(visitor, starts_at="2026-11-05T15:00:00Z")
    assert "cancel before Wed 4 Nov 2026, 10:00" in text(visitor.get(confirm_link()))


def test_a_therapist_who_paused_is_told_with_other_therapists(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor)
    path = confirm_link()
    accounts.pause("asha", on=True)
    refused = visitor.post(path)
    assert refused.status_code == 409
    assert "not taking bookings" in text(refused)
    assert "Bran Cole" in text(refused)
    assert "A note for Asha" in text(refused)


def test_after_a_day_the_link_and_what_was_typed_are_gone(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor)
    path = confirm_link()
    story.wait(hours=24)
    for _ in range(2):
        assert (visitor.get(path).status_code, visitor.post(path).status_code) == (410, 410)
        story.sweep()
        assert not PendingRequest.select().exists()
    assert not Booking.select().exists()
    assert visitor.get(CHECK_EMAIL).status_code == 200


def test_a_corrected_address_gets_the_link_and_the_first_one_ends(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor, email="dee@clinets.example")
    wrong = confirm_link()
    shown = press(visitor, CHECK_EMAIL, email="dee@clients.example")
    assert "dee@clients.example" in text(shown)
    right = confirm_link()
    assert story.mail.messages[-1].rcpt_tos == ("dee@clients.example",)
    assert visitor.post(wrong).status_code == 404
    assert visitor.post(right).status_code == 200
    assert Client.get().email == "dee@clients.example"


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_an_address_typed_as_a_correction_is_found_by_erasing_or_was_never_stored(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str], is_confirmed: bool
) -> None:
    typed(visitor)
    path = confirm_link()
    if is_confirmed:
        assert visitor.post(path).status_code == 200
    for _ in range(2):
        shown = press(visitor, CHECK_EMAIL, email="Victim@clients.example")
        assert "Victim@clients.example" in text(shown)
        story.deliver()
    [pending] = PendingRequest.select()
    assert (pending.email == "Victim@clients.example") is not is_confirmed
    # The browser keeps it, and cannot be read either.
    with visitor.session_transaction() as kept:
        assert "corrected" in kept
        assert "ictim" not in str(dict(kept))
    if is_confirmed:
        with pytest.raises(NotFound):
            erase_client("victim@clients.example", story.now)
    else:
        assert erase_client("victim@clients.example", story.now) == 0
        assert not PendingRequest.select().exists()


@pytest.mark.both_databases
def test_correcting_the_address_holds_the_time_no_longer(story: Story, visitor: Visitor) -> None:
    typed(visitor)
    until = PendingRequest.get().held_until
    story.wait(minutes=20)
    press(visitor, CHECK_EMAIL, email="other@clients.example")
    story.deliver()
    assert PendingRequest.get().held_until == until


def test_a_wrong_correction_comes_back_with_what_is_right(story: Story, visitor: Visitor) -> None:
    typed(visitor)
    answer = press(visitor, CHECK_EMAIL, email="dee")
    assert answer.status_code == 422
    assert "Please give an email address" in text(answer)


def test_the_page_is_for_the_browser_that_typed_it(story: Story, visitor: Visitor) -> None:
    typed(visitor)
    stranger = another_visitor(story.app)
    assert "dee@clients.example" not in stranger.get(CHECK_EMAIL).text


def test_sending_again_merges_into_one_email_a_minute_and_six_an_hour(
    story: Story, visitor: Visitor
) -> None:
    typed(visitor)
    told = len(story.deliver())
    for minute in range(59):
        for _ in range(3):
            press(visitor, CHECK_EMAIL)
        story.at(MONDAY + timedelta(minutes=minute + 1))
        sent = story.deliver()
        assert len(sent) <= 1
        told += len(sent)
    assert told == 6


@pytest.mark.both_databases
def test_a_link_leaves_at_once_where_none_is_out(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    for start in ("10", "12", "14"):
        typed(visitor, starts_at=f"2026-11-03T{start}:00:00Z")
        assert visitor.post(confirm_link()).status_code == 200
    assert Booking.select().count() == 3


@pytest.mark.both_databases
def test_requests_that_come_at_once_share_the_next_email(story: Story, app: Flask) -> None:
    for start in ("10", "11", "12", "13"):
        typed(another_visitor(app), starts_at=f"2026-11-03T{start}:00:00Z")
        story.deliver()
    story.wait(minutes=1)
    [(kind, _)] = story.deliver()
    assert kind == "confirm_request"
    words = story.mail.messages[-1].parsed.get_body(("plain",)).get_content()
    links_in_it = re.findall(r"/link/confirm/\S+", words)
    assert len(links_in_it) == 3
    for path in links_in_it:
        assert another_visitor(app).post(path).status_code in (200, 409)
    assert Booking.select().count() == 3


def remembering(visitor: Visitor, confirm_link: Callable[[], str]) -> None:
    typed(visitor)
    assert visitor.post(confirm_link(), data={"own_device": "yes"}).status_code == 200


@pytest.mark.parametrize(
    ("email", "days", "is_asked"),
    [
        ("dee@clients.example", 1, False),
        ("DEE@clients.example", 89, False),
        ("dee@clients.example", 91, True),
        ("eli@clients.example", 1, True),
    ],
)
def test_a_browser_that_is_remembered_is_not_asked_again_for_the_same_address(
    story: Story, confirm_link: Callable[[], str], email: str, days: int, is_asked: bool
) -> None:
    visitor = another_visitor(story.app)
    remembering(visitor, confirm_link)
    story.wait(days=days)
    start = (TUESDAY_10 + timedelta(days=days + 1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    visitor.post(ASHA, data=filled(visitor, email=email, starts_at=start))
    assert (Booking.select().count() == 1) is is_asked


def test_a_browser_is_remembered_only_where_the_device_is_their_own(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor)
    pressed = visitor.post(confirm_link())
    assert "Set-Cookie" not in pressed.headers
    typed(visitor, starts_at="2026-11-03T12:00:00Z")
    assert Booking.select().count() == 1


def test_a_cookie_made_up_elsewhere_confirms_nothing(story: Story, visitor: Visitor) -> None:
    visitor.set_cookie("mindsum-confirmed", "dee@clients.example")
    typed(visitor)
    assert not Booking.select().exists()


def test_where_it_always_asks_a_remembered_browser_is_asked_too(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    remembering(visitor, confirm_link)
    config.use(config.current().model_copy(update={"confirm_address": "always"}))
    typed(visitor, starts_at="2026-11-03T12:00:00Z")
    assert Booking.select().count() == 1


def test_the_same_form_sent_again_is_one_request(story: Story, visitor: Visitor) -> None:
    data = filled(visitor)
    for _ in range(3):
        assert visitor.post(ASHA, data=data).headers["Location"] == CHECK_EMAIL
    story.deliver()
    assert (PendingRequest.select().count(), OutboxEmail.select().count()) == (1, 1)


def test_a_link_of_another_purpose_confirms_nothing(
    story: Story, visitor: Visitor, confirm_link: Callable[[], str]
) -> None:
    typed(visitor)
    token = confirm_link().rpartition("/")[2]
    for purpose in ("accept", "decline", "manage", "choose", "sign-in", "session"):
        assert visitor.get(f"/link/{purpose}/{token}").status_code == 400
    assert visitor.post("/link/confirm/cut").status_code == 400


def test_a_name_typed_by_a_stranger_changes_nothing_on_other_bookings(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    before = (booking.client_name, booking.client_timezone)
    typed(visitor, name="Somebody Else", timezone="Pacific/Kiritimati")
    story.sweep()
    now = story.reload(booking)
    assert (now.client_name, now.client_timezone) == before


def test_a_fourth_open_request_of_a_known_browser_is_refused_beside_the_address(
    story: Story, visitor: Visitor
) -> None:
    config.use(config.current().model_copy(update={"confirm_address": "never"}))
    for start in ("10", "11", "12"):
        ask(email="dee@clients.example", starts_at=TUESDAY_10.replace(hour=int(start)))
    refused = visitor.post(ASHA, data=filled(visitor, starts_at="2026-11-03T13:00:00Z"))
    assert refused.status_code == 409
    assert "as many sessions" in text(refused)
    assert "A note for Asha" in refused.text
    assert Booking.select().count() == 3
