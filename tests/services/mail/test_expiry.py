"""How long each kind of email may leave: true a moment before its end, skipped from then on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from app import config
from app.rules.first_steps import Step
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services import auth
from app.services.bookings import confirm, messages, transitions
from app.services.bookings.request import BookingRequest
from app.services.clients.links import send_links
from app.services.mail import expiry
from app.services.mail.answer_email_requests import answer_due
from app.services.therapists import accounts, standing
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction
from app.store.models import Area, Booking, OutboxEmail, Role, Therapist
from emails.kinds import KINDS
from tests.scenarios.story import DEE, Story

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
ASHA, OLU = "asha@therapists.example", "olu@ops.example"


def asked(story: Story) -> Booking:
    return story.ask()


def accepted(story: Story) -> Booking:
    booking = story.ask()
    story.accept(booking)
    return story.reload(booking)


def declined(story: Story) -> None:
    story.decline(story.ask())


def withdrawn(story: Story) -> None:
    story.withdraw(story.ask())


def unanswered(hours: float) -> Callable[[Story], None]:
    def wait(story: Story) -> None:
        story.at(story.ask().requested_at + hours * HOUR)
        story.sweep()

    return wait


def cancelled(by: Actor) -> Callable[[Story], None]:
    return lambda story: story.cancel(accepted(story), by) and None


def asked_to_move(story: Story) -> Booking:
    booking = accepted(story)
    story.propose(booking, booking.starts_at + DAY)
    return story.reload(booking)


def moved(story: Story) -> None:
    booking = asked_to_move(story)
    story.take(booking, booking.starts_at + DAY)


def not_moved(story: Story) -> None:
    story.keep(asked_to_move(story))


def reminded(story: Story) -> None:
    story.at(accepted(story).starts_at - 26 * HOUR)
    story.sweep()


def missed(story: Story) -> None:
    booking = accepted(story)
    story.at(booking.ends_at)
    by, via = Actor.THERAPIST, Via.LINK
    transitions.make_move(booking, Move.NO_SHOW, by=by, via=via, now=story.now)


def wrote(story: Story) -> None:
    messages.send(accepted(story), "See you.", author=Actor.THERAPIST, now=story.now)


def unreached(kind: str, role: Role) -> Callable[[Story], None]:
    """Of an enquiry's two sides, nothing arrives at the other one."""

    def refuse(story: Story) -> None:
        booking = story.ask()
        refused = "booking_requested" if role is Role.CLIENT else "booking_received"
        suppress(refused, story.now)
        queue(kind, role, booking=booking)(story)

    return refuse


def suppress(kind: str, now: datetime) -> None:
    email = OutboxEmail.get(OutboxEmail.kind == kind)
    suppressions.add(email, "550 5.1.1", now, is_proven=True, is_doubted=False)


def queue(kind: str, role: Role, **about: Any) -> Callable[[Story], None]:
    """The row alone, for emails whose cause does not matter to how long they last."""

    @in_transaction
    def enqueue(story: Story) -> None:
        outbox.enqueue(kind, role, now=story.now, **{"about": "x", **about})

    return enqueue


def of_account(kind: str, role: Role = Role.THERAPIST, **facts: Any) -> Callable[[Story], None]:
    def enqueue(story: Story) -> None:
        therapist = queries.therapist_by_slug("asha")
        changes = {"deactivated_at": story.now, "flagged_at": story.now, "streak": 5}
        if kind in ("welcome", "account_reactivated"):
            changes = {"first_steps": ""}
        Therapist.update(changes).where(Therapist.id == therapist.id).execute()
        queue(kind, role, therapist=therapist, facts={"streak": 3, **facts})(story)

    return enqueue


def asked_for_link(area: Area, address: str) -> Callable[[Story], None]:
    def ask(story: Story) -> None:
        config.use(config.current().model_copy(update={"ops_sign_in": (OLU,)}))
        auth.request_sign_in(address, "/", story.now, area)

    return ask


def asked_for_links(story: Story) -> None:
    story.ask()
    send_links(DEE[1], story.now)


def typed(story: Story) -> None:
    name, email, zone = DEE
    starts_at = story.now.replace(hour=10) + 2 * DAY
    wanted = BookingRequest("asha", name, email, zone, starts_at, Kind.PAID)
    confirm.take_request(wanted, now=story.now)
    answer_due(story.now)


@dataclass(frozen=True)
class Lasts:
    """What queues the email, and the first moment at which it must not leave any more."""

    cause: Callable[[Story], Any]
    until: Callable[[OutboxEmail], datetime]


def while_queued(cause: Callable[[Story], Any], span: timedelta) -> Lasts:
    return Lasts(cause, lambda email: email.created_at + span)


def until(moment: str, cause: Callable[[Story], Any], after: timedelta = timedelta(0)) -> Lasts:
    """`moment`: a column of its booking."""
    return Lasts(cause, lambda email: getattr(email.booking, moment) + after)


BY_TIME = {
    "confirm_request": while_queued(typed, DAY),
    "booking_requested": until("expires_at", asked),
    "booking_received": until("expires_at", asked),
    "booking_accepted": until("ends_at", accepted),
    "session_confirmed": until("ends_at", accepted),
    "booking_declined": while_queued(declined, 30 * DAY),
    "enquiry_declined": while_queued(declined, 30 * DAY),
    "answer_reminder": until("answer_by", unanswered(2), SECOND),
    "answer_late": until("expires_at", unanswered(3.1)),
    "answer_late_client": until("expires_at", unanswered(3.1)),
    "answer_late_ops": until("expires_at", unanswered(3.1)),
    "booking_expired": while_queued(unanswered(24), 30 * DAY),
    "enquiry_expired": while_queued(unanswered(24), 30 * DAY),
    "booking_withdrawn": until("ends_at", withdrawn),
    "withdrawal_receipt": while_queued(withdrawn, 30 * DAY),
    "client_cancelled": while_queued(cancelled(Actor.CLIENT), 30 * DAY),
    "cancellation_receipt": while_queued(cancelled(Actor.CLIENT), 30 * DAY),
    "therapist_cancelled": while_queued(cancelled(Actor.THERAPIST), 30 * DAY),
    "cancellation_recorded": while_queued(cancelled(Actor.THERAPIST), 30 * DAY),
    "time_proposed": until("proposed_until", asked_to_move),
    "time_taken": until("ends_at", moved),
    "time_kept": until("ends_at", not_moved),
    "session_reminder": until("starts_at", reminded, -2 * HOUR),
    "no_show_recorded": while_queued(missed, 30 * DAY),
    "new_message": while_queued(wrote, 30 * DAY),
    "answer_not_taken": while_queued(queue("answer_not_taken", Role.THERAPIST), DAY),
    "reply_not_placed": while_queued(queue("reply_not_placed", Role.THERAPIST), DAY),
    "mail_alert": while_queued(queue("mail_alert", Role.OPS), 7 * DAY),
    "client_unreachable": until("ends_at", unreached("client_unreachable", Role.THERAPIST)),
    "therapist_unreachable": until("expires_at", unreached("therapist_unreachable", Role.CLIENT)),
    "sign_in": while_queued(asked_for_link(Area.DASHBOARD, ASHA), HOUR / 4),
    "ops_sign_in": while_queued(asked_for_link(Area.OPS, OLU), HOUR / 4),
    "your_links": while_queued(asked_for_links, DAY),
}


def deactivate(story: Story) -> None:
    Therapist.update(deactivated_at=story.now).where(Therapist.slug == "asha").execute()


def reactivate(story: Story) -> None:
    standing.reactivate("asha", story.now, reason="")


def does_all_steps(_story: Story) -> None:
    accounts.tick_steps("asha", *Step)


# What queues the email, and what has to happen so that it must not leave any more.
BY_EVENT: dict[str, tuple[Callable[[Story], Any], Callable[[Story], Any]]] = {
    "welcome": (of_account("welcome"), does_all_steps),
    "streak_warning": (of_account("streak_warning"), reactivate),
    "account_flagged": (of_account("account_flagged"), reactivate),
    "account_deactivated": (of_account("account_deactivated"), reactivate),
    "account_reactivated": (of_account("account_reactivated"), deactivate),
    "account_alert": (of_account("account_alert", Role.OPS, what="deactivated"), reactivate),
}


def stale(kind: str, at: datetime) -> str | None:
    """Read again, as the sender does."""
    return expiry.why_stale(OutboxEmail.get(OutboxEmail.kind == kind), at)


@pytest.mark.parametrize("kind", BY_TIME)
def test_an_email_whose_time_is_past_is_skipped(story: Story, kind: str) -> None:
    BY_TIME[kind].cause(story)
    ends_at = BY_TIME[kind].until(OutboxEmail.get(OutboxEmail.kind == kind))
    assert stale(kind, ends_at - SECOND) is None
    assert stale(kind, ends_at) is not None


@pytest.mark.parametrize("kind", BY_EVENT)
def test_an_email_about_what_is_over_is_skipped(story: Story, kind: str) -> None:
    cause, event = BY_EVENT[kind]
    cause(story)
    assert stale(kind, story.now) is None
    event(story)
    assert stale(kind, story.now) is not None


def test_each_kind_of_email_has_an_end() -> None:
    assert {*BY_TIME, *BY_EVENT} == set(KINDS)
    assert BY_TIME.keys().isdisjoint(BY_EVENT)
