"""What a new therapist has to look at before clients ask: four steps, shown until all are done."""

from enum import StrEnum


class Step(StrEnum):
    # In the order in which they are shown.
    HOURS = "hours"
    RATE = "rate"
    MEETING_LINK = "meeting_link"
    VISIBILITY = "visibility"


# What ops enters for a new account; the therapist has yet to say whether it is right.
TO_CONFIRM = frozenset({Step.RATE, Step.VISIBILITY})


def read_steps(stored: str) -> frozenset[Step]:
    return frozenset(Step(each) for each in stored.split(",") if each)


def write_steps(done: frozenset[Step]) -> str:
    return ",".join(each for each in Step if each in done)


def filled_in(*, has_hours: bool, meeting_url: str | None) -> frozenset[Step]:
    """The steps that are done because the account has what they ask for."""
    has = {Step.HOURS: has_hours, Step.MEETING_LINK: bool(meeting_url)}
    return frozenset(step for step, is_there in has.items() if is_there)
