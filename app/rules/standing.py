"""The streak of cancellations, and the warning, flag and deactivation it leads to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from app.rules.policy import Policy


class StandingStep(StrEnum):
    WARN = "warn"
    FLAG = "flag"
    DEACTIVATE = "deactivate"


class StandingEvent(StrEnum):
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    REACTIVATED = "reactivated"


@dataclass(frozen=True, slots=True)
class Standing:
    streak: int = 0
    is_flagged: bool = False
    is_deactivated: bool = False


_ORDER = list(StandingStep)


def after_cancellation(standing: Standing, policy: Policy) -> Standing:
    streak = standing.streak + 1
    return Standing(
        streak=streak,
        is_flagged=standing.is_flagged or streak >= policy.flag_streak,
        is_deactivated=standing.is_deactivated or streak >= policy.deactivate_streak,
    )


def after_completion(standing: Standing) -> Standing:
    # A deactivation stays: only ops reactivates an account.
    return replace(standing, streak=0, is_flagged=False)


def reactivated() -> Standing:
    return Standing()


def replay(events: Iterable[StandingEvent], policy: Policy) -> Standing:
    """The standing after `events`, given in the order in which they took effect."""
    standing = Standing()
    for event in events:
        match event:
            case StandingEvent.CANCELLED:
                standing = after_cancellation(standing, policy)
            case StandingEvent.COMPLETED:
                standing = after_completion(standing)
            case StandingEvent.REACTIVATED:
                standing = reactivated()
    return standing


def step_reached(streak: int, policy: Policy) -> StandingStep | None:
    if streak >= policy.deactivate_streak:
        return StandingStep.DEACTIVATE
    if streak >= policy.flag_streak:
        return StandingStep.FLAG
    return StandingStep.WARN if streak >= policy.warn_streak else None


def furthest_step(
    announced: StandingStep | None, standing: Standing, policy: Policy
) -> StandingStep | None:
    """The one step to announce now, or None if nothing further than `announced` is reached."""
    if standing.is_deactivated:
        reached: StandingStep | None = StandingStep.DEACTIVATE
    else:
        reached = step_reached(standing.streak, policy)
    if reached is None or (
        announced is not None and _ORDER.index(reached) <= _ORDER.index(announced)
    ):
        return None
    return reached


def announced_after_completion(announced: StandingStep | None) -> StandingStep | None:
    """What counts as announced when the streak is back at zero: only a deactivation lasts."""
    return announced if announced is StandingStep.DEACTIVATE else None
