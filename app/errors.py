"""Typed domain errors: each says what happened and carries what a door needs to answer."""

from dataclasses import dataclass


class DomainError(Exception):
    """Something a caller asked for cannot be; `code` is its stable name."""

    code = "error"
    # Whether the service is at fault, and not what the caller asked for.
    is_fault = False


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: its name and a sentence that says what would be right."""

    field: str
    message: str


class InvalidFields(DomainError):
    """Input was refused at the door; nothing was done."""

    code = "invalid_fields"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class NotFound(DomainError):
    """There is no such thing, or not for whoever asks."""

    code = "not_found"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no {what}.")
        self.what = what


class TherapistUnavailable(DomainError):
    """The therapist takes no bookings at present."""

    code = "therapist_unavailable"

    def __init__(self, slug: str) -> None:
        super().__init__("This therapist is not taking bookings at the moment.")
        self.slug = slug


class FreeConsultationUsed(DomainError):
    """The client has had, or has asked for, the free initial consultation with this therapist."""

    code = "free_consultation_used"

    def __init__(self) -> None:
        super().__init__(
            "The free initial consultation with this therapist has already been used; "
            "a paid session can be booked."
        )


class SlotTaken(DomainError):
    """Somebody else holds that time."""

    code = "slot_taken"

    def __init__(self) -> None:
        super().__init__("That time has just been taken; please choose another.")


class TermsChanged(DomainError):
    """What cancelling would cost is no longer what was shown and agreed to; nothing was done."""

    code = "terms_changed"

    def __init__(self) -> None:
        super().__init__("What this costs has changed since the page was shown; nothing was done.")


class BookingStands(DomainError):
    """Someone else cannot be asked in place of a booking that was accepted or is asked elsewhere.

    `reference` is the booking that stands.
    """

    code = "booking_stands"

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} stands, so nobody else was asked.")
        self.reference = reference


class IdempotencyConflict(DomainError):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with a different body; send a new key.")


class LinkInvalid(DomainError):
    """The token is cut, forged, signed with a retired key or meant for another purpose."""

    code = "link_invalid"


class LinkExpired(DomainError):
    """The token's time is over."""

    code = "link_expired"


class LinkGone(DomainError):
    """What the token points to has been erased, or was never there."""

    code = "link_gone"


class ConfigError(DomainError):
    """A setting is missing, bad or contradicts another; `name` says which."""

    code = "config"

    def __init__(self, name: str, should_be: str) -> None:
        super().__init__(f"{name} {should_be}")
        self.name = name


class NotesKeyWrong(DomainError):
    """Stored text cannot be read with any key in NOTES_KEY; the text itself is untouched."""

    code = "notes_key_wrong"
    is_fault = True

    def __init__(self) -> None:
        super().__init__(
            "NOTES_KEY holds no key that opens this stored text; add the key it was written with."
        )


class StoreUnavailable(DomainError):
    """The database did not answer or could not write; nothing was done."""

    code = "store_unavailable"


class OutcomeUnknown(StoreUnavailable):
    """The database was lost while it committed: all of it was done, or nothing."""
