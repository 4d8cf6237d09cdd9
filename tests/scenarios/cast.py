"""The therapists of the tests: Asha in London, Bran in New York, Chi on Lord Howe."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app import clock
from app.rules.weekly_hours import parse_windows
from app.services.therapists import accounts
from app.store.models import Therapist

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""When most tests begin: a Monday morning in London, far from every change of clocks."""
TUESDAY_10 = MONDAY + timedelta(days=1, hours=1)
"""When most sessions of the tests begin."""


@dataclass(frozen=True)
class Cast:
    """The therapists in a database that has the cast."""

    asha: Therapist
    bran: Therapist
    chi: Therapist


def therapist(
    name: str, zone: str, rate_minor: int = 6000, *, now: datetime | None = None, **more: Any
) -> Therapist:
    """Add a therapist who works every day from nine to five in their own zone."""
    first = name.split()[0].lower()
    return accounts.add_therapist(
        accounts.NewTherapist(
            slug=first,
            name=name,
            email=f"{first}@therapists.example",
            timezone=zone,
            rate_minor=rate_minor,
            windows=parse_windows("Mon-Sun 09:00-17:00"),
            meeting_url=f"https://meet.example/{first}",
            **more,
        ),
        now or clock.now(),
    )


def add_cast() -> None:
    """Add the cast on Monday morning."""
    therapist("Asha Rao", "Europe/London", now=MONDAY)
    therapist("Bran Cole", "America/New_York", 8000, now=MONDAY)
    therapist("Chi Nakamura", "Australia/Lord_Howe", 7000, now=MONDAY)


def read_cast() -> Cast:
    return Cast(**{each.slug: each for each in Therapist.select()})


def headline() -> str:
    """Asha's, as the database has it."""
    return str(Therapist.get(Therapist.slug == "asha").headline)


def rename(words: str) -> None:
    """Give Asha another headline: one small write."""
    Therapist.update(headline=words).where(Therapist.slug == "asha").execute()
