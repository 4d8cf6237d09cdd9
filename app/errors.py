"""Domain errors: each says what happened and carries the data that an answer needs."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


class DomainError(Exception):
    """A request that cannot be fulfilled."""

    # Stable: API answers carry it.
    code = "error"
    # Whether the service is at fault, and not the request.
    is_fault = False


@dataclass(frozen=True, slots=True)
class FieldError:
    """A bad field: its name, and a sentence that says what would be right."""

    field: str
    message: str


class InvalidFields(DomainError):
    code = "invalid_fields"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class NotFound(DomainError):
    code = "not_found"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no {what}.")
        self.what = what


class TooManyRequests(DomainError):
    """A network's requests are used up; `wait`: until the next one is possible."""

    code = "too_many_requests"

    def __init__(self, wait: timedelta) -> None:
        super().__init__("Many requests came from your network within an hour. Nothing was sent.")
        self.wait = wait


class TherapistUnavailable(DomainError):
    code = "therapist_unavailable"

    def __init__(self, slug: str) -> None:
        super().__init__("This therapist is not taking bookings at the moment.")
        self.slug = slug


class FreeConsultationUsed(DomainError):
    code = "free_consultation_used"

    def __init__(self) -> None:
        super().__init__(
            "The free initial consultation with this therapist has already been used; "
            "a paid session can be booked."
        )


class SlotTaken(DomainError):
    code = "slot_taken"

    def __init__(self) -> None:
        super().__init__("That time has just been taken; please choose another.")


class TooManyOpen(DomainError):
    """Enough enquiries from the public form are open: of this client, or at this therapist."""

    code = "too_many_open"

    def __init__(self, of: Literal["client", "therapist"]) -> None:
        super().__init__(
            "You have asked for as many sessions as can be open at once."
            if of == "client"
            else "This therapist has as many open requests as they can answer."
        )
        self.of = of


class TermsChanged(DomainError):
    """Cancelling would no longer cost what the page showed; nothing was done."""

    code = "terms_changed"

    def __init__(self) -> None:
        super().__init__("The cost has changed since you opened this page. Nothing was done.")


class MessagesEnded(DomainError):
    """The booking is over, so neither side writes to the other there."""

    code = "messages_ended"

    def __init__(self) -> None:
        super().__init__("Messages about this booking have ended. Nothing was sent.")


class NotReplaceable(DomainError):
    """`reference`: the booking that was accepted, or is already requested in its place."""

    code = "not_replaceable"

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} is still going ahead, so no other therapist was asked.")
        self.reference = reference


class TimeMoveRefused(DomainError):
    """The booking does not allow this move of its time."""

    code = "move_not_allowed"

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(why)
        self.reference = reference


class ProposalOpen(TimeMoveRefused):
    code = "proposal_open"

    def __init__(self, reference: str) -> None:
        super().__init__(reference, "Another time is proposed already and waits for an answer.")


class NoProposal(TimeMoveRefused):
    code = "no_proposal"

    def __init__(self, reference: str) -> None:
        super().__init__(reference, "No other time is proposed, or not any more.")


class IdempotencyConflict(DomainError):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with a different body; send a new key.")


class LinkInvalid(DomainError):
    """The token is cut, forged, signed with a retired key or for another purpose."""

    code = "link_invalid"


class LinkExpired(DomainError):
    code = "link_expired"


class LinkOutdated(DomainError):
    """The booking's time has changed since the link was sent; the link does nothing any more."""

    code = "link_outdated"

    def __init__(self, reference: str, *, is_of_client: bool) -> None:
        super().__init__("The time of this booking has changed since this link was sent.")
        self.reference = reference
        self.is_of_client = is_of_client


class LinkGone(DomainError):
    """What the link opened was erased or never existed."""

    code = "link_gone"


class ConfigError(DomainError):
    """The setting `name` is missing, bad or contradicts another."""

    code = "config"

    def __init__(self, name: str, should_be: str) -> None:
        super().__init__(f"{name} {should_be}")
        self.name = name


class NotesKeyWrong(DomainError):
    """No key in NOTES_KEY decrypts a stored text; the text itself is untouched."""

    code = "notes_key_wrong"
    is_fault = True

    def __init__(self, fingerprint: str | None = None) -> None:
        named = f" (fingerprint {fingerprint})" if fingerprint else ""
        super().__init__(
            "NOTES_KEY holds no key that opens this stored text; add the key it was written with"
            f"{named}."
        )


class StoredTextMoved(DomainError):
    """A stored text is not in the row that it was written for, or was altered."""

    code = "stored_text_moved"
    is_fault = True

    def __init__(self) -> None:
        super().__init__(
            "A stored text was changed in the database or moved from another row; it is not shown."
        )


class StoreUnavailable(DomainError):
    """The database did not answer or could not write; nothing was done."""

    code = "store_unavailable"


class OutcomeUnknown(StoreUnavailable):
    """The connection was lost during the commit: everything was done, or nothing."""
