"""The numbers of the rules, as one value that is an argument of every rule."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import gcd


@dataclass(frozen=True, slots=True)
class Policy:
    """The defaults are those of the contract; config reads others from the environment."""

    answer_within: timedelta = timedelta(hours=3)
    remind_answer_after: timedelta = timedelta(hours=2)
    expire_after: timedelta = timedelta(hours=24)
    free_cancellation: timedelta = timedelta(hours=24)
    commission_percent: Decimal = Decimal(10)
    warn_streak: int = 3
    flag_streak: int = 4
    deactivate_streak: int = 5
    min_notice: timedelta = timedelta(hours=4)
    max_ahead: timedelta = timedelta(days=60)
    slot_minutes: int = 30
    session_minutes: int = 50
    consultation_minutes: int = 30
    ranking_window: timedelta = timedelta(days=90)
    no_show_within: timedelta = timedelta(days=7)
    completes_after: timedelta = timedelta(minutes=10)
    # A client whose timely request to move was refused may cancel for so long as if then.
    cancel_after_refusal: timedelta = timedelta(hours=1)
    most_proposed: int = 3

    @property
    def proposal_notice(self) -> timedelta:
        """How far ahead a proposed start must be."""
        # It can be taken until the minimum notice, so there is time to decide before that.
        return max(timedelta(hours=8), 2 * self.min_notice)

    @property
    def cell_minutes(self) -> int:
        # The coarsest grid that holds every possible start.
        return gcd(15, self.slot_minutes)
