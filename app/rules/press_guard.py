"""Whether a press of a button acts at once: some mail programs press the buttons they find."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import combinations

# A person needs so long to read a page.
LOOKED_AT_LEAST = timedelta(seconds=1.5)
# Scanners open an email when it arrives.
SCANNED_WITHIN = timedelta(minutes=2)
# A person who opens two links reads one page between them.
OPENED_APART = timedelta(seconds=10)
# A program that was asked then goes on without a pause; a person chooses.
PAUSE = timedelta(minutes=1)
# A person opens fewer pages of a new email's links before they press.
MANY_OPENINGS = 8


class Doubt(StrEnum):
    """Why a press could be a program's."""

    # The form carries no moment that we signed.
    UNMARKED = "unmarked"
    TOO_QUICK = "too_quick"
    TOO_EARLY = "too_early"
    OPENED_TOGETHER = "opened_together"
    # The arriving email's press was asked about, nothing was chosen, and its links are still busy.
    UNANSWERED = "unanswered"
    # Many pages of its links were opened since the email arrived.
    OPENED_OFTEN = "opened_often"


@dataclass(frozen=True, slots=True)
class Span:
    """Something happened at both moments, and perhaps between them."""

    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Opening(Span):
    link: Hashable
    # Whether its page has a button that changes something.
    acts: bool
    times: int = 1


@dataclass(frozen=True, slots=True)
class Press:
    # When the page with the pressed button was made; None if that is not known.
    shown_at: datetime | None
    # Whether that page asked what is meant, and a choice was sent.
    is_choice: bool = False
    # Of a browser that asked for this link, or is signed in as its holder.
    is_known_browser: bool = False
    # When the mail server took the email; None while it is not known to have done so.
    handed_over_at: datetime | None = None
    # Of the email's links.
    openings: Sequence[Opening] = ()
    # When presses on them were asked about, without a choice since.
    asked: Sequence[Span] = ()


def doubt_of(press: Press, now: datetime) -> Doubt | None:
    """None if the press acts; otherwise the page asks first."""
    if press.is_known_browser:
        return None
    if press.shown_at is None:
        return Doubt.UNMARKED
    if now - press.shown_at < LOOKED_AT_LEAST:
        return Doubt.TOO_QUICK
    return None if press.is_choice else _doubt_of_email(press, now)


def _doubt_of_email(press: Press, now: datetime) -> Doubt | None:
    if press.handed_over_at is None or now < press.handed_over_at + SCANNED_WITHIN:
        return Doubt.TOO_EARLY
    return _doubt_of_arrival(press, press.handed_over_at + SCANNED_WITHIN, now) or (
        Doubt.OPENED_TOGETHER if _were_opened_together(press.openings) else None
    )


def _doubt_of_arrival(press: Press, scanned_until: datetime, now: datetime) -> Doubt | None:
    """About a visit that began before `scanned_until` and has gone on without a pause."""

    def goes_on(began: Sequence[Span]) -> bool:
        early = [each.first_at for each in began if each.first_at < scanned_until]
        return bool(early) and now < _busy_until(max(early), press) + PAUSE

    if goes_on(press.asked):
        return Doubt.UNANSWERED
    is_often = sum(each.times for each in press.openings) >= MANY_OPENINGS
    return Doubt.OPENED_OFTEN if is_often and goes_on(press.openings) else None


def _busy_until(busy_until: datetime, press: Press) -> datetime:
    """When the first pause after that moment begins."""
    for span in sorted([*press.asked, *press.openings], key=lambda each: each.first_at):
        if span.first_at < busy_until + PAUSE:
            busy_until = max(busy_until, span.last_at)
    return busy_until


def _were_opened_together(openings: Sequence[Opening]) -> bool:
    return any(
        one.acts
        and other.acts
        and one.link != other.link
        and one.first_at - other.last_at < OPENED_APART
        and other.first_at - one.last_at < OPENED_APART
        for one, other in combinations(openings, 2)
    )
