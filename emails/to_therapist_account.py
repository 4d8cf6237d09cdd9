"""Every email to a therapist about their account: one function per kind.

Raises UnsafeValue naming the value that no email may carry.
"""

from collections.abc import Sequence

from emails.message import Envelope, Message, Session
from emails.render import compose


def sign_in(envelope: Envelope, *, sign_in_url: str, minutes: int) -> Message:
    """The link that signs them in, once, within `minutes`."""
    return compose("sign_in", "therapist", envelope, sign_in_url=sign_in_url, minutes=minutes)


def streak_warning(
    envelope: Envelope,
    *,
    streak: int,
    flag_streak: int,
    deactivate_streak: int,
    dashboard_url: str,
) -> Message:
    """`streak` sessions cancelled in a row: what comes next, and how to mend it."""
    return compose(
        "streak_warning",
        "therapist",
        envelope,
        streak=streak,
        flag_streak=flag_streak,
        deactivate_streak=deactivate_streak,
        dashboard_url=dashboard_url,
    )


def account_flagged(
    envelope: Envelope,
    *,
    streak: int,
    flag_streak: int,
    deactivate_streak: int,
    dashboard_url: str,
) -> Message:
    """The account is flagged: what that does, and that one completed session lifts it."""
    return compose(
        "account_flagged",
        "therapist",
        envelope,
        streak=streak,
        flag_streak=flag_streak,
        deactivate_streak=deactivate_streak,
        dashboard_url=dashboard_url,
    )


def account_deactivated(
    envelope: Envelope,
    *,
    streak: int,
    deactivate_streak: int,
    support_email: str,
    dashboard_url: str,
    sessions: Sequence[Session],
) -> Message:
    """The account is off: what ended, the accepted `sessions` that stay, whom to write to."""
    return compose(
        "account_deactivated",
        "therapist",
        envelope,
        streak=streak,
        deactivate_streak=deactivate_streak,
        support_email=support_email,
        dashboard_url=dashboard_url,
        sessions=sessions,
    )


def account_reactivated(
    envelope: Envelope, *, flag_streak: int, deactivate_streak: int, dashboard_url: str
) -> Message:
    """The account is on again, its streak at zero."""
    return compose(
        "account_reactivated",
        "therapist",
        envelope,
        flag_streak=flag_streak,
        deactivate_streak=deactivate_streak,
        dashboard_url=dashboard_url,
    )
