"""Links end with their holder's address, or when ops revokes those of a booking."""

import json

import pytest
from flask import Flask

from app.cli import run
from app.links import TO_CLIENTS, LinkPurpose
from app.services import auth
from app.services.clients.erase import erase_client
from app.services.therapists import accounts
from app.store.models import Booking, Client, SignIn
from app.web.links import tokens
from tests.harness.page_stories import all_rows, ask, link, now_of, sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor

OF_BOOKINGS = sorted(set(LinkPurpose) - {LinkPurpose.SIGN_IN, LinkPurpose.CONFIRM})
OF_CLIENTS = sorted(TO_CLIENTS)
OF_THERAPISTS = sorted(set(OF_BOOKINGS) - TO_CLIENTS)


def paths(app: Flask, booking: Booking) -> dict[LinkPurpose, str]:
    with app.test_request_context():
        return {purpose: tokens.path(purpose, booking) for purpose in OF_BOOKINGS}


def doors(links: dict[LinkPurpose, str]) -> list[tuple[str, str]]:
    """Every method and address that these links open."""
    found = [("GET", path) for path in links.values()]
    found += [("POST", path) for aim, path in links.items() if aim is not LinkPurpose.SESSION]
    if LinkPurpose.MANAGE in links:
        manage = links[LinkPurpose.MANAGE]
        found += [("POST", f"{manage}/cancel"), ("POST", f"{manage}/message")]
        found += [("GET", f"{manage}/cancel"), ("GET", f"{manage}/calendar.ics")]
    return found


def statuses(visitor: Visitor, links: dict[LinkPurpose, str]) -> set[int]:
    return {visitor.open(path, method=method).status_code for method, path in doors(links)}


def fresh(app: Flask, booking: Booking, visitor: Visitor) -> set[int]:
    """Without the links that answer a proposal, since none is open."""
    links = paths(app, Booking.get_by_id(booking.id))
    answers = {LinkPurpose.TAKE, LinkPurpose.KEEP, LinkPurpose.AGREE, LinkPurpose.REFUSE}
    return {
        visitor.get(path).status_code for purpose, path in links.items() if purpose not in answers
    }


def test_revoked_links_end_and_later_emails_carry_new_ones(
    app: Flask, mail: MailServer, story: Story, visitor: Visitor
) -> None:
    booking, other = ask(), story.ask("bran", starts_at=story.now.replace(hour=15))
    old, others = paths(app, booking), paths(app, other)
    story.accept(other)
    story.sent()
    assert run(["booking", "revoke-links", booking.reference], create=lambda: app) == 0
    rows = all_rows()
    assert statuses(visitor, old) == {410}
    assert all_rows() == rows
    assert 410 not in {visitor.get(path).status_code for path in others.values()}
    assert fresh(app, booking, visitor) == {200, 302}
    story.wait(hours=2)
    story.sweep()
    accept = link(app, mail, "answer_reminder", "Accept")
    assert visitor.post(accept).status_code == 200
    assert now_of(booking).status == "accepted"


def test_ops_see_the_booking_whose_links_they_revoked(
    app: Flask, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    booking = story.ask()
    words = ["booking", "revoke-links", booking.reference.lower(), "--json"]
    assert run(words, create=lambda: app) == 0
    assert json.loads(capsys.readouterr().out)["reference"] == booking.reference
    assert run(["booking", "revoke-links", "MB-222222"], create=lambda: app) == 2
    assert run(["booking", "revoke-links", "nonsense"], create=lambda: app) == 2


def test_a_therapists_links_end_with_their_address_and_the_clients_do_not(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    old = paths(app, booking)
    accounts.change_address("asha", "asha@elsewhere.example", booking.requested_at)
    ended = {purpose: old[purpose] for purpose in OF_THERAPISTS}
    assert statuses(visitor, ended) == {410}
    assert now_of(booking).status == "requested"
    # 409: no other time is proposed.
    assert {visitor.get(old[purpose]).status_code for purpose in OF_CLIENTS} == {200, 409}
    assert fresh(app, booking, visitor) == {200, 302}
    accounts.change_address("asha", "asha@third.example", booking.requested_at)
    assert statuses(visitor, ended) == {410}
    sign_in(app, mail, visitor, "asha@third.example")
    assert visitor.get("/dashboard").status_code == 200


@pytest.mark.both_databases
def test_a_sign_in_link_ends_with_the_address(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    auth.request_sign_in("asha@therapists.example", "", ask().requested_at)
    path = link(app, mail, "sign_in", "Sign In")
    accounts.change_address("asha", "asha@elsewhere.example", SignIn.get().created_at)
    # Even if the row were not ended, the link names the address that it was sent to.
    SignIn.update(used_at=None).execute()
    assert visitor.get(path).status_code == visitor.post(path).status_code == 410


def test_a_clients_links_end_with_their_address_and_the_therapists_do_not(
    app: Flask, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    old = paths(app, booking)
    words = ["client", "address", "dee@clients.example", "dee@elsewhere.example"]
    assert run(words, create=lambda: app) == 0
    ended = {purpose: old[purpose] for purpose in OF_CLIENTS}
    assert statuses(visitor, ended) == {410}
    assert visitor.get(old[LinkPurpose.ACCEPT]).status_code == 200
    assert fresh(app, booking, visitor) == {200, 302}


def test_links_of_a_client_who_was_erased_lead_nowhere(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    old = paths(app, booking)
    story.decline(booking)
    erase_client("dee@clients.example", story.now)
    assert statuses(visitor, old) == {404}
    assert statuses(visitor, paths(app, Booking.get_by_id(booking.id))) == {404}
    assert Client.get().is_erased
