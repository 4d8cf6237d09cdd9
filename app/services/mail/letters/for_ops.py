"""The letters to ops."""

from collections.abc import Callable

from app.services.mail.letters.for_therapist import upcoming_of
from app.services.mail.letters.letter import Letter
from emails import to_ops
from emails.message import Message


def _answer_late_ops(letter: Letter) -> Message:
    booking = letter.booking
    return to_ops.answer_late_ops(
        letter.envelope,
        letter.session,
        therapist_slug=booking.therapist.slug,
        late_since=booking.answer_by,
        expires_at=booking.expires_at,
    )


def _account_alert(letter: Letter) -> Message:
    if letter.email.booking is not None:
        return to_ops.account_alert(
            letter.envelope,
            therapist_slug=letter.booking.therapist.slug,
            what=letter.facts["what"],
            sessions=[letter.session],
        )
    therapist = letter.email.therapist
    assert therapist is not None
    return to_ops.account_alert(
        letter.envelope,
        therapist_slug=therapist.slug,
        what=letter.facts["what"],
        streak=letter.facts.get("streak"),
        sessions=upcoming_of(letter),
    )


WRITERS: dict[str, Callable[[Letter], Message]] = {
    "answer_late_ops": _answer_late_ops,
    "account_alert": _account_alert,
}
