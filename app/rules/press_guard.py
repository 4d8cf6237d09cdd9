"""Whether a press of a button acts at once: some mail programs press the buttons they find."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import combinations

# A person needs so long to read a page.
LOOKED_AT_LEAST = timedelta(seconds=1.5)
# Scanners open an email when it arrives,
SCANNED_WITHIN = timedelta(minutes=2)
# and are done with all its links by then.
SCAN_LASTS = timedelta(minutes=5)
# A person who opens two links reads one page between them.
OPENED_APART = timedelta(seconds=10)


class Doubt(StrEnum):
    """Why a press could be a program's."""

    # The form carries no moment that we signed.
    UNMARKED = "unmarked"
    TOO_QUICK = "too_quick"
    TOO_EARLY = "too_early"
    OPENED_TOGETHER = "opened_together"


@dataclass(frozen=True, slots=True)
class Opening:
    """A link was opened at both moments, and perhaps between them."""

    link: Hashable
    # Whether its page has a button that changes something.
    acts: bool
    first_at: datetime
    last_at: datetime


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


def doubt_of(press: Press, now: datetime) -> Doubt | None:
    """None if the press acts; otherwise the page asks first."""
    if press.is_known_browser:
        return None
    if press.shown_at is None:
        return Doubt.UNMARKED
    if now - press.shown_at < LOOKED_AT_LEAST:
        return Doubt.TOO_QUICK
    if press.is_choice:
        return None
    # No scanner stays on one page for so long.
    was_read_long = now - press.shown_at >= SCANNED_WITHIN
    openings = () if was_read_long else press.openings
    if press.handed_over_at is None or now < _settled_at(press.handed_over_at, openings):
        return Doubt.TOO_EARLY
    return Doubt.OPENED_TOGETHER if _were_opened_together(press.openings) else None


def _settled_at(handed_over_at: datetime, openings: Sequence[Opening]) -> datetime:
    """From when on no scan of the arriving email goes on."""
    scanned_until = handed_over_at + SCANNED_WITHIN
    is_scanned = any(opening.first_at < scanned_until for opening in openings)
    return handed_over_at + SCAN_LASTS if is_scanned else scanned_until


def _were_opened_together(openings: Sequence[Opening]) -> bool:
    return any(
        one.acts
        and other.acts
        and one.link != other.link
        and one.first_at - other.last_at < OPENED_APART
        and other.first_at - one.last_at < OPENED_APART
        for one, other in combinations(openings, 2)
    )
