"""The ranking in words for the therapist: what each factor is made of and how to improve it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from app.rules.policy import Policy
from app.rules.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the score; `value` is from 0 to 1, rounded half up to three decimals."""

    name: str
    value: Decimal
    explanation: str
    how_to_improve: str


def explain(ranking: Ranking, policy: Policy) -> tuple[Factor, ...]:
    return (
        _responsiveness(ranking, policy),
        _acceptance(ranking, policy),
        _standing(ranking, policy),
    )


def _responsiveness(ranking: Ranking, policy: Policy) -> Factor:
    window, days = _length(policy.answer_within), _length(policy.ranking_window)
    if not ranking.counted:
        explanation = f"No enquiry of the last {days} counts yet, so this starts at its best."
    elif not ranking.late:
        explanation = (
            f"{_enquiries(ranking.counted)} of the last {days} counted,"
            f" and none waited longer than {window}."
        )
    else:
        expired = f"; {ranking.expired} of them expired" if ranking.expired else ""
        explanation = (
            f"{ranking.late} of {_enquiries(ranking.counted)} of the last {days} waited longer"
            f" than {window}{expired}."
        )
    how_to_improve = (
        f"Each answer within {window} raises this, and a late one stops counting {days} after"
        " its request. A late answer is still better than none."
        if ranking.late
        else f"Nothing to improve: answering within {window} keeps it here."
    )
    value = _rounded(ranking.responsiveness)
    return Factor("responsiveness", value, explanation, how_to_improve)


def _acceptance(ranking: Ranking, policy: Policy) -> Factor:
    days = _length(policy.ranking_window)
    if ranking.declined + ranking.expired:
        explanation = (
            f"Of {_enquiries(ranking.answered + ranking.expired)} of the last {days},"
            f" {ranking.declined} declined and {ranking.expired} expired lower this a little."
        )
        how_to_improve = (
            "Each enquiry you accept raises this, and a declined or expired one stops counting"
            f" {days} after its request. Keep your availability and time off up to date, so that"
            " you need to decline less."
        )
    else:
        explanation = f"No declined or expired enquiry of the last {days} counts against you."
        how_to_improve = "Nothing to improve."
    return Factor("acceptance", _rounded(ranking.acceptance), explanation, how_to_improve)


def _standing(ranking: Ranking, policy: Policy) -> Factor:
    if ranking.is_flagged:
        explanation = (
            f"Your account is flagged after {policy.flag_streak} or more cancelled sessions in a"
            " row, which halves your score for now."
        )
        how_to_improve = "The next session that you complete lifts the flag at once."
    else:
        explanation = "Your account is not flagged, so nothing is taken off."
        how_to_improve = (
            f"Nothing to improve: fewer than {policy.flag_streak} cancelled sessions in a row"
            " never lead to a flag."
        )
    return Factor("standing", _rounded(ranking.standing), explanation, how_to_improve)


def _rounded(value: Fraction) -> Decimal:
    return Decimal((value * 2000 + 1) // 2).scaleb(-3)


def _enquiries(count: int) -> str:
    return "1 enquiry" if count == 1 else f"{count} enquiries"


def _length(span: timedelta) -> str:
    """In the largest unit that fits as a whole number: "90 days", "24 hours", "90 minutes"."""
    minutes = span // timedelta(minutes=1)
    for size, name in ((24 * 60, "day"), (60, "hour")):
        if minutes % size == 0 and minutes > size:
            return f"{minutes // size} {name}s"
    return "1 hour" if minutes == 60 else f"{minutes} minutes"
