"""Presses of buttons on the pages of signed links: whether a person meant them."""

from dataclasses import replace
from datetime import datetime

from app.links import LinkPurpose, LinkToken, ShownForm
from app.rules.press_guard import Doubt, Opening, Press, Span, doubt_of
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
    press = Press(
        shown_at=shown.at if shown else None,
        is_choice=has_chosen,
        is_known_browser=is_known_browser,
    )
    return doubt_of(press if decides_alone else _with_email(press, link), now)


def _with_email(press: Press, link: LinkToken) -> Press:
    """When the mail server took the email, and what was done with its links."""
    facts = None if link.email is None else email_facts(link.email)
    if facts is None:
        # A link of a page or of an older release is as old as its token.
        return replace(press, handed_over_at=link.minted_at)
    openings = [
        Opening(
            each.first_at,
            each.last_at,
            link=(each.purpose, each.booking_id, each.therapist_id),
            acts=each.purpose != LinkPurpose.SESSION,
            times=each.times,
        )
        for each in facts.opened
    ]
    asked = [Span(*each) for each in facts.asked]
    return replace(press, handed_over_at=facts.handed_over_at, openings=openings, asked=asked)
