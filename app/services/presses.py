"""Presses of buttons on the pages of signed links: whether a person meant them."""

from datetime import datetime

from app.links import LinkPurpose, LinkToken, ShownForm
from app.rules.press_guard import Doubt, Opening, Press, doubt_of
from app.store.queries.presses import email_facts


def doubt_about(
    link: LinkToken,
    shown: ShownForm | None,
    *,
    has_chosen: bool,
    is_known_browser: bool,
    now: datetime,
) -> Doubt | None:
    """None if the press acts. `has_chosen`: a choice was sent from the page that asks."""
    decides_alone = has_chosen or is_known_browser
    handed_over_at, openings = (None, []) if decides_alone else _email_of(link)
    press = Press(
        shown_at=shown.at if shown else None,
        is_choice=has_chosen,
        is_known_browser=is_known_browser,
        handed_over_at=handed_over_at,
        openings=openings,
    )
    return doubt_of(press, now)


def _email_of(link: LinkToken) -> tuple[datetime | None, list[Opening]]:
    """When the mail server took the email, and when its links were opened."""
    facts = None if link.email is None else email_facts(link.email)
    if facts is None:
        # A link of a page or of an older release is as old as its token.
        return link.minted_at, []
    openings = [
        Opening(
            (each.purpose, each.booking_id, each.therapist_id),
            each.purpose != LinkPurpose.SESSION,
            each.first_at,
            each.last_at,
        )
        for each in facts.opened
    ]
    return facts.handed_over_at, openings
