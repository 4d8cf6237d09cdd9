"""How the command line writes instants and says no."""

from datetime import datetime

from app.cli.common import Mistake
from app.rules.lifecycle import Verdict
from app.services.bookings.transitions import MoveResult

_WHY = {
    Verdict.OVERTAKEN: "it is {status}",
    Verdict.TOO_LATE: "it is {status} and the time for that is over",
    Verdict.TOO_EARLY: "it is {status} and the time for that has not come",
    Verdict.FORBIDDEN: "it is {status} and that is for others to do",
}


def instant(at: datetime | None) -> str | None:
    """RFC 3339 in UTC to the second, such as 2026-11-03T10:00:00Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def insist(outcome: MoveResult, wanted: str) -> None:
    """Raise a mistake that names the booking's state unless the move was made, now or before."""
    if not outcome.is_done:
        booking = outcome.booking
        why = _WHY[outcome.verdict].format(status=booking.status)
        raise Mistake(f"{booking.reference} cannot be {wanted}: {why}")
