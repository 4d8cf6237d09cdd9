"""Bookings that fill every page, and the address of each page."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from flask import Flask

from app import clock
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services.bookings import cancel, confirm, messages, propose, transitions
from app.services.bookings.request import BookingRequest, request_booking
from app.services.therapists import accounts, feed, photos, profile
from app.services.therapists.profile import Away
from app.store.models import Booking, OutboxEmail, PendingRequest, Therapist
from app.web.links import tokens
from tests.harness.portraits import portrait
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import ELI, Story

Bookings = Mapping[str, Booking]

_LATER = MONDAY + timedelta(days=4)
# For programs, all but one of the API's.
_NOT_PAGES = ("static", "api.", "ops.", "robots.")
_API_PAGE = "api.reference"


def fill(story: Story) -> dict[str, Booking]:
    """Give Asha a booking in every state, by its name; `free` is accepted and `late` is open."""

    def ask(at: datetime, **more: object) -> Booking:
        return story.ask(starts_at=at, note="I sleep badly.", **more)  # type: ignore[arg-type]

    tuesday = MONDAY + timedelta(days=1)
    bookings = {name: ask(tuesday + timedelta(hours=hour)) for hour, name in enumerate(_FIRST)}
    story.sent()
    for name in ("completed", "no_show"):
        story.accept(bookings[name])
    story.wait(hours=27)
    story.sweep()
    cancel.mark_no_show(bookings["no_show"], via=Via.DASHBOARD, now=story.now)
    bookings |= {name: ask(_LATER + timedelta(hours=hour)) for hour, name in enumerate(_THEN)}
    bookings["free"] = ask(_LATER + timedelta(hours=7), client=ELI, kind=Kind.FREE_CONSULTATION)
    story.sent()
    for name in ("accepted", "cancelled_by_client", "cancelled_by_therapist", "free"):
        story.accept(bookings[name])
    story.decline(bookings["declined"], "I am away that day.")
    story.withdraw(bookings["withdrawn"])
    story.cancel(bookings["cancelled_by_client"], Actor.CLIENT)
    story.cancel(bookings["cancelled_by_therapist"], Actor.THERAPIST)
    for author in (Actor.CLIENT, Actor.THERAPIST):
        messages.send(bookings["accepted"], "Until then.", author=author, now=story.now)
    messages.keep_private_note(bookings["accepted"], "Ask about sleep.", now=story.now)
    profile.add_time_off("asha", _AWAY, story.now)
    story.wait(hours=4)
    story.sweep()
    bookings["open"] = ask(_LATER + timedelta(days=1), client=ELI)
    story.sent()
    return {name: story.reload(booking) for name, booking in bookings.items()}


_FIRST = ("completed", "no_show", "expired")
_THEN = (
    "accepted", "declined", "withdrawn", "cancelled_by_client", "cancelled_by_therapist", "late",
)  # fmt: skip
_AWAY = Away(datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 3, tzinfo=UTC))


def public() -> list[str]:
    """Public pages. Pauses Bran."""
    accounts.pause("bran", on=True)
    return [
        "/",
        "/?name=nobody&day=2026-11-10",
        "/?day=someday&tz=Nowhere",
        "/?page=7",
        "/?sort=price&price=70&language=english&specialism=sleep",
        "/?sort=soonest&free=on&tz=Asia/Tokyo",
        "/?sort=newest&price=cheap",
        "/therapists/asha",
        "/therapists/asha?kind=free_consultation&tz=America/New_York",
        "/therapists/asha?tz=IST&from=2026-12-01",
        "/therapists/asha/requested",
        "/therapists/bran",
        "/my-links",
        "/sign-in",
        "/sign-out",
        "/api/reference",
        "/ops/sign-in",
        "/ops/sign-out",
        "/nowhere",
    ]


def files() -> list[str]:
    """What visitors and programs read beside pages: Asha's photo and her calendar."""
    photos.replace("asha", portrait(), clock.now())
    key = Therapist.get(Therapist.slug == "asha").photo_key
    address = feed.address(feed.start("asha", clock.now()))
    return [f"/photos/large/{key}.webp", urlsplit(address or "").path]


def by_link(bookings: Bookings) -> list[str]:
    """Pages that links in emails open."""
    manage = [tokens.path(LinkPurpose.MANAGE, booking) for booking in bookings.values()]
    answers = [
        tokens.path(aim, bookings[name])
        for aim in (LinkPurpose.ACCEPT, LinkPurpose.DECLINE)
        for name in ("open", "late", "accepted", "declined", "expired")
    ]
    cancel = [
        tokens.path(LinkPurpose.MANAGE, bookings[name]) + "/cancel" for name in ("open", "accepted")
    ]
    choose = [
        tokens.path(LinkPurpose.CHOOSE, bookings[name]) for name in ("open", "declined", "expired")
    ]
    return [
        *manage,
        *answers,
        *cancel,
        *choose,
        *_about_other_times(bookings),
        _to_confirm(),
        "/link/manage/broken",
    ]


def _about_other_times(bookings: Bookings) -> list[str]:
    """Suggesting and asking for another time, and answering with a proposal open and without."""
    suggested, asked = _proposed(20, Actor.THERAPIST), _proposed(21, Actor.CLIENT)
    to_propose = [tokens.path(LinkPurpose.SUGGEST, bookings["open"])]
    to_propose += [
        tokens.path(LinkPurpose.MANAGE, bookings[name]) + "/move" for name in ("open", "accepted")
    ]
    answers = [
        (suggested, (LinkPurpose.TAKE, LinkPurpose.KEEP, LinkPurpose.MANAGE, LinkPurpose.SUGGEST)),
        (asked, (LinkPurpose.AGREE, LinkPurpose.REFUSE, LinkPurpose.MANAGE)),
        (bookings["open"], (LinkPurpose.TAKE, LinkPurpose.REFUSE)),
    ]
    return to_propose + [
        tokens.path(aim, booking) for booking, purposes in answers for aim in purposes
    ]


def _proposed(day: int, by: Actor) -> Booking:
    """An enquiry with a suggestion, or a session that its client asks to move."""
    name, email, zone = ELI
    at, now = _LATER + timedelta(days=day, hours=2), clock.now()
    wanted = BookingRequest("asha", name, email, zone, at, Kind.PAID, "I sleep badly.")
    booking = request_booking(wanted, via=Via.API, now=now)
    if by is Actor.CLIENT:
        transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=now)
    starts = [at + timedelta(hours=hours) for hours in (2, 3)]
    return propose.propose(booking, starts, by=by, via=Via.LINK, now=now).booking


def _to_confirm() -> str:
    """The path of a Confirm Request link."""
    pending = PendingRequest.get_or_none()
    if pending is None:
        name, email, zone = ELI
        at = _LATER + timedelta(days=20)
        wanted = BookingRequest("asha", name, email, zone, at, Kind.PAID, "I sleep badly.")
        key = confirm.take_request(wanted, now=clock.now())
        pending = PendingRequest.get(PendingRequest.key == key)
    return urlsplit(confirm.url(pending)).path


def for_asha(bookings: Bookings) -> list[str]:
    """Pages that Asha can open when she is signed in."""
    return [
        "/dashboard",
        "/dashboard?tab=upcoming",
        "/dashboard/week",
        "/dashboard/week?from=2026-10-26",
        "/dashboard/sessions",
        "/dashboard/sessions?q=dee&from=2026-11-01",
        "/dashboard/sessions?q=nobody&to=soon",
        "/dashboard/sessions?show=upcoming&kind=free_consultation",
        "/dashboard/sessions?show=cancelled&kind=free_consultation",
        "/dashboard/profile",
        "/dashboard/ranking",
        "/dashboard/earnings",
        "/dashboard/sessions/MB-NOTONE",
        *(f"/dashboard/sessions/{booking.reference}" for booking in bookings.values()),
        f"/dashboard/sessions/{bookings['accepted'].reference}/cancel",
        f"/dashboard/sessions/{bookings['accepted'].reference}/move",
        f"/dashboard/sessions/{bookings['open'].reference}/move",
        f"/dashboard/sessions/{bookings['completed'].reference}/no-show",
    ]


def for_ops(bookings: Bookings) -> list[str]:
    """Pages that ops can open when signed in to the desk."""
    email = OutboxEmail.select().order_by(OutboxEmail.id).get()
    return [
        "/ops",
        "/ops/jobs",
        "/ops/sign-ins",
        "/ops/bookings",
        f"/ops/bookings?client={bookings['open'].client_id}&status=requested&late=yes",
        "/ops/bookings?therapist=asha&day=2026-11-06",
        "/ops/bookings?therapist=nobody&day=someday&client=x&status=x",
        *(f"/ops/bookings/{booking.reference}" for booking in bookings.values()),
        f"/ops/bookings/{bookings['open'].reference}/cancel-for-client",
        f"/ops/bookings/{bookings['accepted'].reference}/cancel-for-therapist",
        "/ops/bookings/MB-NOTONE",
        "/ops/outbox",
        f"/ops/outbox?status=sent&kind=booking_requested&reference={bookings['open'].reference}",
        "/ops/outbox?status=x&kind=x&reference=x",
        f"/ops/outbox/{email.id}",
        "/ops/outbox/999999",
        "/ops/unreachable",
        "/ops/therapists",
        "/ops/therapists/add",
        "/ops/therapists/asha",
        "/ops/therapists/nobody",
    ]


def endpoints(app: Flask, paths: list[str]) -> set[str]:
    """The endpoints of these paths."""
    adapter = app.url_map.bind("localhost")
    return {adapter.match(path.partition("?")[0])[0] for path in paths if path != "/nowhere"}


def pages(app: Flask) -> set[str]:
    """Every endpoint that shows a page."""
    return {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
        and (rule.endpoint == _API_PAGE or not rule.endpoint.startswith(_NOT_PAGES))
    }
