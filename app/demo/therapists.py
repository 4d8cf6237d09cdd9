"""The demo's therapists."""

from datetime import datetime

from app.errors import NotFound
from app.rules.weekly_hours import parse_windows
from app.services.therapists import accounts
from app.store import queries
from app.store.db.database import in_transaction

_DOMAIN = "therapists.example"


@in_transaction
def add_missing(now: datetime) -> None:
    for therapist in _CAST:
        try:
            queries.therapist_by_slug(therapist.slug)
        except NotFound:
            accounts.add_therapist(therapist, now)


def _therapist(
    name: str,
    zone: str,
    rate_minor: int,
    hours: str,
    *,
    headline: str,
    about: str,
    specialisms: str,
    qualifications: str,
    languages: str,
    free_consultation: bool = True,
) -> accounts.NewTherapist:
    first = name.split(maxsplit=1)[0].lower()
    return accounts.NewTherapist(
        slug=first,
        name=name,
        email=f"{first}@{_DOMAIN}",
        timezone=zone,
        rate_minor=rate_minor,
        windows=parse_windows(hours),
        offers_free_consultation=free_consultation,
        meeting_url=f"https://meet.example/{first}",
        headline=headline,
        about=about,
        specialisms=specialisms,
        qualifications=qualifications,
        languages=languages,
    )


_CAST = (
    _therapist(
        "Asha Rao",
        "Europe/London",
        6000,
        "Mon-Fri 09:00-17:00, Sat 10:00-13:00",
        headline="A steady place to put anxious thoughts down",
        about=(
            "I work with people whose worry has taken over their evenings, their sleep or their "
            "work. We start with what is hardest this week and build from there, with cognitive "
            "behavioural tools where they help and plain talking where they do not."
        ),
        specialisms="Anxiety, Sleep, Work stress",
        qualifications="MSc Psychology, MBACP (Accred)",
        languages="English, Hindi",
    ),
    _therapist(
        "Bran Cole",
        "America/New_York",
        8000,
        "Mon-Thu 08:00-18:00, Sun 12:00-20:00",
        headline="For grief, endings and what comes after them",
        about=(
            "Loss has no timetable. In twenty years as a hospice counsellor I have learnt to go "
            "at the pace of the person opposite. Sessions are unhurried; silence is welcome."
        ),
        specialisms="Grief, Depression, Life changes",
        qualifications="MA Counseling, LMHC",
        languages="English",
    ),
    _therapist(
        "Chi Nakamura",
        "Australia/Lord_Howe",
        7000,
        "Mon-Sun 07:00-12:00",
        headline="Early mornings for tired parents and carers",
        about=(
            "Looking after others can leave very little of yourself. I help parents and carers "
            "find rest, say no without guilt, and be a person again as well as a pair of hands."
        ),
        specialisms="Parenting, Burnout, Relationships",
        qualifications="BSW, AASW",
        languages="English, Japanese",
        free_consultation=False,
    ),
    _therapist(
        "Farah Haddad",
        "Europe/Berlin",
        5500,
        "Tue-Sat 11:00-19:00",
        headline="Trauma-informed therapy, in your own words and time",
        about=(
            "You decide what we talk about and when we stop. I trained in EMDR and work with "
            "people who have lived through violence, flight or accidents, and those close to them."
        ),
        specialisms="Trauma, Anxiety, Migration",
        qualifications="Dipl.-Psych., EMDR Europe",
        languages="English, German, Arabic",
    ),
)
ADDRESSES = tuple(therapist.email for therapist in _CAST)
