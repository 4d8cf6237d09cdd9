"""The ranking spelled out for the therapist: each factor, what moved it, what would mend it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from app.rules.policy import Policy
from app.rules.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the score, from 0 to 1 and rounded half up to three decimals, in words."""

    name: str
    value: Decimal
    explanation: str
    how_to_improve: str


def explain(ranking: Ranking, policy: Policy) -> tuple[Factor, ...]:
    """The factors in the order in which they are multiplied."""
    return (
        _responsiveness(ranking, policy),
        _acceptance(ranking, policy),
        _standing(ranking, policy),
    )


def _responsiveness(ranking: Ranking, policy: Policy) -> Factor:
    window, days = _length(policy.answer_within), _length(policy.ranking_window)
    if not ranking.counted:
        moved = f"No enquiry of the last {days} has counted yet, so this starts at its best."
    elif not ranking.late:
        moved = (
            f"{_enquiries(ranking.counted)} of the last {days} counted,"
            f" and none waited longer than {window}."
        )
    else:
        unanswered = f"; {ranking.expired} of them expired" if ranking.expired else ""
        moved = (
            f"{ranking.late} of {_enquiries(ranking.counted)} of the last {days} waited longer"
            f" than {window}{unanswered}."
        )
    mend = (
        f"Each answer within {window} lifts this, and a late one stops counting {days} after"
        " its request. A late answer still counts for more than none."
        if ranking.late
        else f"Nothing to mend: answers within {window} keep it here."
    )
    return Factor("responsiveness", _rounded(ranking.responsiveness), moved, mend)


def _acceptance(ranking: Ranking, policy: Policy) -> Factor:
    days = _length(policy.ranking_window)
    refused = ranking.declined + ranking.expired
    if not refused:
        moved = f"No enquiry of the last {days} was declined or expired in a way that counts."
        mend = "Nothing to mend."
    else:
        moved = (
            f"Of {_enquiries(ranking.answered + ranking.expired)} of the last {days},"
            f" {ranking.declined} declined and {ranking.expired} expired took a little off."
        )
        mend = (
            f"Each enquiry you accept lifts this, and each of these stops counting {days} after"
            " its request. Keeping your availability and time off up to date saves you declining."
        )
    return Factor("acceptance", _rounded(ranking.acceptance), moved, mend)


def _standing(ranking: Ranking, policy: Policy) -> Factor:
    if ranking.is_flagged:
        moved = (
            f"Your account is flagged after {policy.flag_streak} or more cancelled sessions in a"
            " row, which halves your score for now."
        )
        mend = "The next session that you complete lifts the flag at once."
    else:
        moved = "Your account is not flagged, so nothing is taken off."
        mend = (
            f"Nothing to mend: fewer than {policy.flag_streak} cancelled sessions in a row keep"
            " it so."
        )
    return Factor("standing", _rounded(ranking.standing), moved, mend)


def _rounded(value: Fraction) -> Decimal:
    return Decimal((value * 2000 + 1) // 2).scaleb(-3)


def _enquiries(count: int) -> str:
    return "1 enquiry" if count == 1 else f"{count} enquiries"


def _length(span: timedelta) -> str:
    """In the largest unit that says it in whole numbers: "90 days", "24 hours", "90 minutes"."""
    minutes = span // timedelta(minutes=1)
    for size, name in ((24 * 60, "day"), (60, "hour")):
        if minutes % size == 0 and minutes > size:
            return f"{minutes // size} {name}s"
    return "1 hour" if minutes == 60 else f"{minutes} minutes"
