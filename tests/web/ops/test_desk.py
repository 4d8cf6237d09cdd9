"""The ops desk: what each page shows, what each act does, and what stays on record."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock, config
from app.errors import StoreUnavailable
from app.rules.lifecycle import Actor, Via
from app.scheduler.process import run_once
from app.services import access_trail
from app.services.ops import outbox as ops_outbox
from app.services.therapists import accounts
from app.services.therapists.erase import erase_therapist
from app.services.therapists.export import export_therapist
from app.store import outbox, queries, suppressions
from app.store.models import (
    AccessEntry,
    AccessEvent,
    Booking,
    Hold,
    OutboxEmail,
    OutboxStatus,
    StandingEntry,
    Suppression,
    Therapist,
    TimelineEntry,
)
from tests.harness.page_stories import all_rows, forms, sign_in_as_ops
from tests.harness.pages import has_word, text
from tests.harness.smtp_server import FaultyServer
from tests.scenarios import full_site
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.web.conftest import Visitor, another_visitor

OLU = "olu@ops.example"


@pytest.fixture
def olu(app: Flask, story: Story) -> Visitor:
    """Somebody of ops, signed in."""
    visitor = another_visitor(app)
    sign_in_as_ops(app, story.mail, visitor)
    return visitor


def on_record(event: AccessEvent = AccessEvent.ACTED) -> list[tuple[str, str, str, str]]:
    """(about, by, via, address) of each row, the oldest first."""
    rows = AccessEntry.select().where(AccessEntry.event == event).order_by(AccessEntry.id)
    return [(each.about, str(each.by), str(each.via), each.ops_address) for each in rows]


def act(what: str) -> tuple[str, str, str, str]:
    return (what, "ops", "ops", OLU)


def send(visitor: Visitor, path: str, **fields: str) -> Any:
    """Post a form of the desk with its token."""
    token = forms(visitor.get("/ops/sign-ins"))[0].fields["csrf_token"]
    return visitor.post(path, data={"csrf_token": token, **fields})


def test_the_late_board_says_who_is_late_since_when_and_how_to_call(
    story: Story, olu: Visitor
) -> None:
    accounts.replace_phone(Therapist.get(slug="asha"), "+442079460000")
    late, waiting = story.ask(), story.ask("bran", starts_at=story.now + timedelta(hours=54))
    Booking.update(answer_by=story.now + timedelta(hours=9)).where(
        Booking.id == waiting.id
    ).execute()
    story.sent()
    story.wait(hours=4)
    page = text(olu.get("/ops"))
    assert "One enquiry is late" in page
    board, rest = page.split("Waiting for an answer", 1)
    assert late.reference in board
    assert "1 hour late" in board
    assert "+442079460000" in board
    assert waiting.reference in rest
    assert "none stored" in rest
    story.accept(late)
    assert "No enquiry is late" in text(olu.get("/ops"))


def test_an_enquiry_that_waits_for_its_client_is_told_apart(story: Story, olu: Visitor) -> None:
    booking = story.ask()
    story.propose(booking, booking.starts_at + timedelta(days=1))
    page = text(olu.get("/ops"))
    assert booking.reference in page.split("Waiting for the client", 1)[1]


@pytest.fixture
def found(story: Story, olu: Visitor) -> Any:
    """`found(**fields)`: the references that a search shows, by the names of their bookings."""
    bookings = full_site.fill(story)
    names = {booking.reference: name for name, booking in bookings.items()}

    def search(**fields: str) -> set[str]:
        answer = send(olu, "/ops/bookings", **fields)
        assert answer.status_code == 303
        shown = olu.get(answer.location)
        assert shown.status_code == 200
        return {name for reference, name in names.items() if has_word(reference, shown.text)}

    return search


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"client": "ELI@clients.example"}, {"free", "open"}),
        ({"therapist": "bran"}, set()),
        ({"status": "declined"}, {"declined"}),
        ({"late": "yes"}, {"late"}),
        ({"day": "2026-11-07"}, {"open"}),
        ({"client": DEE[1], "day": "2026-11-03", "status": "no_show"}, {"no_show"}),
        ({"client": ELI[1], "status": "declined"}, set()),
    ],
)
def test_bookings_are_found_by(fields: dict[str, str], names: set[str], found: Any) -> None:
    assert found(**fields) == names


def test_a_reference_leads_to_its_booking(story: Story, olu: Visitor) -> None:
    booking = story.ask()
    answer = send(olu, "/ops/bookings", reference=booking.reference.lower())
    assert answer.location == f"/ops/bookings/{booking.reference}"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("client", "eve@clients.example", "No client has this address"),
        ("client", "eve", "such as name@example.org"),
        ("reference", "MB-222222", "There is no such booking"),
        ("reference", "x", "reference"),
        ("day", "someday", "Please give a date"),
        ("therapist", "nobody", "There is no such therapist"),
        ("status", "gone", "choose one of the list"),
    ],
)
def test_what_cannot_be_searched_for_is_named_and_kept(
    field: str, typed: str, said: str, story: Story, olu: Visitor
) -> None:
    answer = send(olu, "/ops/bookings", **{field: typed})
    assert answer.status_code == 422
    assert said in text(answer)
    if field in ("client", "reference", "day"):
        assert forms(answer)[-1].fields[field] == typed


def test_the_address_of_a_page_never_holds_a_clients(story: Story, olu: Visitor) -> None:
    booking = story.ask()
    answer = send(olu, "/ops/bookings", client=DEE[1])
    assert answer.location == f"/ops/bookings?client={booking.client_id}"
    assert forms(olu.get(answer.location))[-1].fields["client"] == DEE[1]


def test_a_list_goes_on_over_the_page(
    story: Story, olu: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.ops.base.PAGE_SIZE", 2)
    full_site.fill(story)
    first, second = olu.get("/ops/bookings"), olu.get("/ops/bookings?page=2")
    assert 'rel="next"' in first.text
    assert 'rel="prev"' in second.text
    ends = [line for line in first.text.splitlines() if 'class="line"' in line]
    assert len(ends) == 2
    assert not set(ends) & {line for line in second.text.splitlines() if 'class="line"' in line}


def test_no_page_shows_what_people_wrote(app: Flask, story: Story, olu: Visitor) -> None:
    bookings = full_site.fill(story)
    written = ("I sleep badly", "I am away that day", "Until then", "Ask about sleep")
    for path in full_site.for_ops(bookings):
        page = olu.get(path)
        assert page.status_code in (200, 404), path
        assert not [words for words in written if words in page.text], path


def test_one_booking_shows_timeline_ledger_emails_and_trail(story: Story, olu: Visitor) -> None:
    bookings = full_site.fill(story)
    shown = text(olu.get(f"/ops/bookings/{bookings['cancelled_by_client'].reference}"))
    assert "cancelled by client, by client" in shown
    assert "£60.00" in shown
    assert "client cancelled to therapist" in shown
    assert DEE[1] in shown
    again = text(olu.get(f"/ops/bookings/{bookings['cancelled_by_client'].reference}"))
    assert f"viewed: booking, by {OLU}" in again


def test_looking_at_a_booking_an_account_and_a_search_is_on_record(
    story: Story, olu: Visitor
) -> None:
    booking = story.ask()
    olu.get(f"/ops/bookings/{booking.reference}")
    olu.get("/ops/therapists/asha")
    olu.get(send(olu, "/ops/bookings", client=DEE[1]).location)
    rows = AccessEntry.select().where(AccessEntry.event == AccessEvent.VIEWED)
    seen = {
        (row.about, row.booking_id, row.therapist_id, row.client_id, row.ops_address)
        for row in rows
    }
    assert ("booking", booking.id, booking.therapist_id, booking.client_id, OLU) in seen
    assert ("therapist", None, booking.therapist_id, None, OLU) in seen
    assert ("search client", None, None, booking.client_id, OLU) in seen
    assert OLU not in str(export_therapist("asha", story.now))


@pytest.mark.parametrize(
    ("verb", "status", "event"),
    [("accept", "accepted", "accepted"), ("decline", "declined", "declined")],
)
def test_ops_answers_for_a_therapist(
    verb: str, status: str, event: str, story: Story, olu: Visitor
) -> None:
    booking = story.ask()
    path = f"/ops/bookings/{booking.reference}"
    done = send(olu, f"{path}/{verb}", reason="")
    assert done.location == f"{path}#said"
    assert Booking.get_by_id(booking.id).status == status
    line = TimelineEntry.get(TimelineEntry.booking == booking, TimelineEntry.event == event)
    assert (line.by, line.via, line.facts["ops"]) == (Actor.OPS, Via.OPS, OLU)
    assert on_record() == [act(verb)]
    assert f"{event}, by ops (ops, {OLU})" in text(olu.get(path))
    again = send(olu, f"{path}/{'decline' if verb == 'accept' else 'accept'}", reason="")
    assert again.status_code == 409
    assert "That was not possible" in again.text
    assert on_record() == [act(verb)]


def test_a_reason_that_was_not_sent_is_shown_to_who_typed_it(story: Story, olu: Visitor) -> None:
    declined, accepted, withdrawn = (
        story.ask(starts_at=story.now + timedelta(days=days)) for days in (2, 3, 4)
    )
    story.decline(declined)
    story.withdraw(withdrawn)
    for booking, verb, status in (
        (declined, "decline", 200), (accepted, "accept", 200), (withdrawn, "decline", 409),
    ):  # fmt: skip
        path = f"/ops/bookings/{booking.reference}/{verb}"
        page = send(olu, path, reason="Asha is ill.")
        assert page.status_code == status
        assert "This was not sent: Asha is ill." in text(page)


def test_a_reason_that_is_too_long_is_kept(story: Story, olu: Visitor) -> None:
    booking = story.ask()
    answer = send(olu, f"/ops/bookings/{booking.reference}/decline", reason="x" * 4001)
    assert answer.status_code == 422
    assert "x" * 4001 in answer.text
    assert Booking.get_by_id(booking.id).status == "requested"


@pytest.mark.parametrize(
    ("who", "is_accepted", "status"),
    [
        ("client", False, "withdrawn"),
        ("client", True, "cancelled_by_client"),
        ("therapist", True, "cancelled_by_therapist"),
    ],
)
def test_ops_cancels_for_either_side_after_reading_what_it_means(
    who: str, is_accepted: bool, status: str, story: Story, olu: Visitor
) -> None:
    booking = story.ask()
    if is_accepted:
        story.accept(booking)
    page = f"/ops/bookings/{booking.reference}/cancel-for-{who}"
    shown = text(olu.get(page))
    assert "For the client Nothing is charged." in shown
    assert ("1 after this" in shown) is (who == "therapist")
    [form] = [each for each in forms(olu.get(page)) if "agreed" in each.fields]
    stale = olu.post(page, data={**form.fields, "agreed": "cancel_by_client.1.0"})
    assert stale.status_code == 409
    assert olu.post(page, data=form.fields).status_code == 303
    assert Booking.get_by_id(booking.id).status == status
    assert on_record() == [act(f"cancel_for_{who}")]
    assert olu.get(page).status_code == 409


def test_before_cancelling_ops_reads_what_becomes_of_money_that_was_taken_and_who_is_not_told(
    app: Flask, story: Story, olu: Visitor
) -> None:
    config.use(config.current().model_copy(update={"payment": "at_booking"}))
    story.at(story.now.replace(hour=13))
    booking = story.ask(starts_at=story.now + timedelta(hours=20))
    story.accept(booking)
    page = f"/ops/bookings/{booking.reference}/cancel-for-client"
    assert "Client and therapist are told by email." in text(olu.get(page))
    with FaultyServer({f"rcpt {DEE[1]}": "550 5.1.1 no such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())
    shown = text(olu.get(page))
    assert "£60.00 is kept" in shown
    assert "owes" not in shown
    assert "Our emails do not reach the client." in shown
    assert "told by email" not in shown


def test_nobody_else_can_be_cancelled_for(story: Story, olu: Visitor) -> None:
    path = f"/ops/bookings/{story.ask().reference}/cancel-for-ops"
    assert olu.get(path).status_code == send(olu, path).status_code == 404


def test_links_are_ended_on_record(story: Story, olu: Visitor) -> None:
    booking = story.ask()
    send(olu, f"/ops/bookings/{booking.reference}/revoke-links")
    assert Booking.get_by_id(booking.id).epoch == booking.epoch + 1
    assert on_record() == [act("revoke_links")]


def test_emails_are_filtered_and_shown_with_their_tries(
    app: Flask, story: Story, olu: Visitor
) -> None:
    booking = story.ask()
    with FaultyServer({f"rcpt {DEE[1]}": "550 5.1.1 no such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())
    failed = OutboxEmail.get(OutboxEmail.status == OutboxStatus.FAILED)
    listed = olu.get("/ops/outbox?status=failed").text
    assert f'href="/ops/outbox/{failed.id}"' in listed
    assert "booking requested" not in listed.split("Newest first", 1)[1]
    by_booking = f"/ops/outbox?reference={booking.reference}&kind=booking_requested"
    assert f'href="/ops/outbox/{failed.id}"' not in olu.get(by_booking).text
    shown = text(olu.get(f"/ops/outbox/{failed.id}"))
    assert "refused address, 550" in shown
    assert "unreachable since" in shown


def test_a_failed_email_is_sent_again_and_a_waiting_one_skipped(
    app: Flask, story: Story, olu: Visitor
) -> None:
    story.ask()
    first = OutboxEmail.get(OutboxEmail.kind == "booking_received")
    path = f"/ops/outbox/{first.id}"
    assert send(olu, f"{path}/retry").status_code == 409
    assert send(olu, f"{path}/skip").status_code == 303
    assert OutboxEmail.get_by_id(first.id).status is OutboxStatus.SKIPPED
    assert send(olu, f"{path}/skip").status_code == 409
    OutboxEmail.update(status=OutboxStatus.FAILED).where(OutboxEmail.id == first.id).execute()
    assert send(olu, f"{path}/retry").status_code == 303
    assert OutboxEmail.get_by_id(first.id).status is OutboxStatus.QUEUED
    assert on_record() == [act(f"outbox_skip {first.id}"), act(f"outbox_retry {first.id}")]


def test_the_outbox_is_held_and_released_on_record(story: Story, olu: Visitor) -> None:
    send(olu, "/ops/outbox/hold")
    send(olu, "/ops/outbox/hold")
    assert "On hold since" in olu.get("/ops/outbox").text
    assert outbox.held_since() is not None
    send(olu, "/ops/outbox/release")
    send(olu, "/ops/outbox/release")
    assert outbox.held_since() is None
    send(olu, "/ops/outbox/retry-all")
    assert on_record() == [act("outbox_hold"), act("outbox_release")]


def test_an_act_that_cannot_be_recorded_is_not_done(
    story: Story, olu: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StoreUnavailable("the trail is gone")

    monkeypatch.setattr(access_trail, "_add", refuse)
    with pytest.raises(StoreUnavailable):
        ops_outbox.hold(clock.now())
    assert not Hold.select().exists()


def test_unreachable_people_are_tried_again(app: Flask, story: Story, olu: Visitor) -> None:
    story.ask()
    with FaultyServer({f"rcpt {DEE[1]}": "550 5.1.1 no such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())
    page = olu.get("/ops/unreachable")
    assert DEE[1] in page.text
    assert "no such mailbox" in text(page)
    [form] = [each for each in forms(page) if each.action.endswith("/try-again")]
    row = suppressions.of_address(DEE[1])
    assert row is not None
    olu.post(form.action, data={**form.fields, "id": str(row.id)})
    tried = suppressions.of_address(DEE[1])
    assert tried is not None
    assert tried.until is None
    assert not OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.FAILED).exists()
    assert on_record() == [act("try_again")]
    story.sent()
    assert "Emails reach everybody" in olu.get("/ops/unreachable").text
    gone = olu.post(form.action, data={**form.fields, "id": str(row.id)})
    assert gone.status_code == 404


def deactivate(slug: str) -> None:
    Therapist.update(deactivated_at=clock.now(), streak=5, flagged_at=clock.now()).where(
        Therapist.slug == slug
    ).execute()


def test_an_account_is_reactivated_with_a_reason_that_stays_on_record(
    story: Story, olu: Visitor
) -> None:
    deactivate("asha")
    listed = olu.get("/ops/therapists").text.split("All others", 1)
    assert "Asha Rao" in listed[0]
    assert "Asha Rao" not in listed[1]
    path = "/ops/therapists/asha"
    refused = send(olu, f"{path}/reactivate", reason=" ")
    assert refused.status_code == 422
    assert Therapist.get(slug="asha").is_deactivated
    done = send(olu, f"{path}/reactivate", reason="She was ill; see call of Monday.")
    assert done.location == f"{path}#said"
    assert not Therapist.get(slug="asha").is_deactivated
    assert "She was ill; see call of Monday." in olu.get(path).text
    assert on_record() == [act("reactivate")]
    exported = export_therapist("asha", story.now)["standing"]
    assert exported[-1]["reason"] == "She was ill; see call of Monday."
    again = send(olu, f"{path}/reactivate", reason="Again.")
    assert again.status_code == 409


def test_a_reactivated_therapist_who_is_not_reached_is_not_said_to_be_told(
    story: Story, olu: Visitor
) -> None:
    deactivate("asha")
    key = Therapist.get(slug="asha").email_key
    Suppression.create(address_key=key, reason="550 no such user", at=story.now)
    done = send(olu, "/ops/therapists/asha/reactivate", reason="She was ill.")
    assert "Active again; our emails do not reach the therapist" in text(olu.get(done.location))


def test_the_reason_is_stored_encrypted_and_goes_when_its_therapist_is_erased(
    story: Story, olu: Visitor
) -> None:
    deactivate("asha")
    send(olu, "/ops/therapists/asha/reactivate", reason="She was ill.")
    stored = StandingEntry.select(StandingEntry.reason.cast("TEXT")).tuples().get()
    assert "ill" not in str(stored)
    erase_therapist("asha", story.now)
    assert StandingEntry.get(StandingEntry.event == "reactivated").reason is None


def test_emails_that_arrive_again_and_signing_out_are_said_for_an_account(
    app: Flask, story: Story, olu: Visitor
) -> None:
    path = "/ops/therapists/asha"
    assert send(olu, f"{path}/reachable").status_code == 409
    story.ask()
    with FaultyServer({"rcpt asha@therapists.example": "550 5.1.1 no such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())
    assert "Our emails do not arrive" in olu.get(path).text
    assert send(olu, f"{path}/reachable").status_code == 303
    assert suppressions.of_address("asha@therapists.example") is None
    assert send(olu, f"{path}/sign-out").status_code == 303
    assert on_record() == [act("reachable"), act("sign_out")]


NEW = {
    "name": "Kit Moss",
    "given_name": "",
    "email": "kit@therapists.example",
    "slug": "kit-moss",
    "rate": "75",
    "timezone": "Europe/London",
    "available": "Mon-Fri 9am to 5pm",
    "meeting_url": "",
    "phone": "+44 20 7946 0000",
}


def test_a_therapist_is_added_and_welcomed(story: Story, olu: Visitor) -> None:
    added = send(olu, "/ops/therapists/add", **NEW)
    assert added.location == "/ops/therapists/kit-moss#said"
    kit = Therapist.get(slug="kit-moss")
    assert (kit.given_name, kit.rate_minor, queries.phone_of(kit)) == ("Kit", 7500, "+442079460000")
    assert OutboxEmail.get(OutboxEmail.therapist == kit).kind == "welcome"
    assert on_record() == [act("therapist_add")]
    before = all_rows()
    again = send(olu, "/ops/therapists/add", **NEW)
    assert (again.location, all_rows()) == (added.location, before)
    assert "open already" in text(olu.get(again.location))
    for other in ({"rate": "80"}, {"available": "Mon 9am to 5pm"}, {"phone": ""}, {"slug": "kit"}):
        assert send(olu, "/ops/therapists/add", **{**NEW, **other}).status_code == 422


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("email", "asha@therapists.example"),
        ("email", "kit"),
        ("slug", "asha"),
        ("slug", "Kit Moss"),
        ("rate", "much"),
        ("timezone", "London town"),
        ("available", "always"),
        ("meeting_url", "nowhere"),
        ("phone", "call me"),
    ],
)
def test_a_wrong_field_of_a_new_therapist_is_named_and_kept(
    field: str, typed: str, story: Story, olu: Visitor
) -> None:
    before = all_rows()
    refused = send(olu, "/ops/therapists/add", **{**NEW, field: typed})
    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text
    kept = forms(refused)[-1].fields
    assert {name: kept[name] for name in NEW} == {**NEW, field: typed}
    assert all_rows() == before


def test_jobs_are_shown_with_their_health(app: Flask, story: Story, olu: Visitor) -> None:
    assert "has never run" in text(olu.get("/ops/jobs"))
    run_once(app)
    shown = text(olu.get("/ops/jobs"))
    assert "deliver outbox" in shown
    assert "All checks pass" in shown
    assert "alive" in shown
    story.wait(hours=2)
    shown = text(olu.get("/ops/jobs"))
    assert "silent" in shown
    assert "One check fails" in shown
