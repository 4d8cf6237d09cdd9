"""What becomes of a fee in words, by PAYMENT: for emails, pages and the command line."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from emails.formatting import date_time, duration, money
from emails.kinds import Payment, Role

# What is said where the fee is not owed, and where it is: clauses without capital and full stop.
# What was never taken cannot be given back, so each way of paying has words of its own.
_PAID: dict[Payment, tuple[str, str]] = {
    "later": ("nothing is charged", "{fee} is due"),
    "at_booking": ("{fee} is refunded", "{fee} is kept"),
}
_CANCEL_LATE: dict[Payment, str] = {
    "later": "Cancel and pay {fee}",
    "at_booking": "Cancel: {fee} is kept",
}
_CONSULTATION: dict[Role, tuple[str, str]] = {
    "client": (
        "you can still have a free consultation with {therapist} another time",
        "your free consultation with {therapist} is used up",
    ),
    "therapist": (
        "{client} can still have a free consultation with you another time",
        "{client}’s free consultation with you is used up",
    ),
    "ops": (
        "{client} can still have a free consultation with {therapist} another time",
        "{client}’s free consultation with {therapist} is used up",
    ),
}
_FREE_SESSION = "there is nothing to pay"
IF_NOT_ACCEPTED: dict[Payment, str] = {
    "later": "You won’t be charged if your request isn’t accepted.",
    "at_booking": "You are refunded in full if your request isn’t accepted.",
}


class Rule(Protocol):
    """The rule of cancelling for one booking at one moment, as the application applies it."""

    @property
    def is_enquiry(self) -> bool: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def free_until(self) -> datetime: ...
    @property
    def is_free(self) -> bool: ...
    @property
    def has_started(self) -> bool: ...
    @property
    def because(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeWords:
    """The price of one session, and what is said about it to `reader`."""

    minor: int
    currency: str
    payment: Payment
    is_consultation: bool
    reader: Role
    client: str
    therapist: str

    @property
    def returned(self) -> str:
        """`nothing is charged`: the client owes nothing."""
        return self._clauses[0]

    @property
    def owed(self) -> str:
        """`£60.00 is due`: the client owes the fee."""
        return self._clauses[1]

    def outcome(self, *, is_owed: bool) -> str:
        return self.owed if is_owed else self.returned

    @property
    def cost(self) -> str:
        """What cancelling does where the fee is owed: `costs £60.00`."""
        if self.is_consultation:
            return f"means that {self.owed}"
        return f"costs {money(self.minor, self.currency)}" if self.minor else "costs nothing"

    @property
    def cancel_late(self) -> str:
        """What the button says that cancels where the fee is owed."""
        return _CANCEL_LATE[self.payment].format(fee=money(self.minor, self.currency))

    @property
    def _clauses(self) -> tuple[str, str]:
        if self.is_consultation:
            clauses = _CONSULTATION[self.reader]
        elif self.minor:
            clauses = _PAID[self.payment]
        else:
            clauses = _FREE_SESSION, _FREE_SESSION
        returned, owed = (
            each.format(
                fee=money(self.minor, self.currency), client=self.client, therapist=self.therapist
            )
            for each in clauses
        )
        return returned, owed


def sentence(clause: str) -> str:
    """`nothing is charged` as `Nothing is charged.`; an empty clause stays empty."""
    return clause and f"{clause[0].upper()}{clause[1:]}."


def withdrawing(fee: FeeWords) -> str:
    return f"You can withdraw until {fee.therapist} has answered: {fee.returned}."


def cancelling(fee: FeeWords, rule: Rule, zone: str, zone_named: str = "") -> str:
    """What the client's cancelling means once the session is accepted, in sentences.

    `zone_named`: as `formatting.zone_name`, what the reader has read before it.
    """
    if rule.has_started:
        return "It has started, so it can no longer be cancelled."
    is_client = fee.reader == "client"
    if rule.because != "notice":
        return _after_a_move(fee, rule, zone, zone_named)
    notice = duration(rule.starts_at - rule.free_until)
    if not rule.is_free:
        if not is_client:
            return f"It starts within {notice}: if {fee.client} cancels, {fee.owed}."
        cancelled = "once accepted, cancelling" if rule.is_enquiry else "cancelling now"
        return f"It starts within {notice}: {cancelled} {fee.cost}."
    if rule.free_until >= rule.starts_at:
        before = "before it starts"
    else:
        before = (
            f"before {date_time(rule.free_until, zone, zone_named)}, {notice} before the start,"
        )
    who = "cancel" if is_client else f"{fee.client} can cancel"
    free = f"once accepted, {who}" if rule.is_enquiry else who
    free = f"{free[0].upper()}{free[1:]} {before} and {fee.returned}."
    if rule.free_until >= rule.starts_at:
        return free
    return f"{free} If {'you cancel' if is_client else f'{fee.client} cancels'} later, {fee.owed}."


def _after_a_move(fee: FeeWords, rule: Rule, zone: str, zone_named: str) -> str:
    """The rule where a move of the session's time has changed it."""
    is_client = fee.reader == "client"
    who = "you cancel" if is_client else f"{fee.client} cancels"
    if rule.because == "moved_late":
        moved = "You" if is_client else fee.client
        return (
            f"{moved} asked for this time when cancelling was no longer free: if {who},"
            f" {fee.owed}, however early."
        )
    if rule.because == "therapist_asks":
        asks = f"{fee.therapist} asks" if fee.reader != "therapist" else "You ask"
        return f"{asks} for another time: if {who} until that is answered, {fee.returned}."
    until = date_time(rule.free_until, zone, zone_named)
    return f"If {who} by {until}, {fee.returned}. After that, {fee.owed}."


def if_move_is_asked(fee: FeeWords, rule: Rule, grace: timedelta) -> str:
    """What the client's asking to move a session means for cancelling it."""
    if rule.is_free and rule.because != "refused_move":
        return (
            f"If {fee.therapist} declines or does not answer, you can still cancel within"
            f" {duration(grace)} of hearing it: {fee.returned}."
        )
    begins = (
        "Asking again does not make cancelling free for longer"
        if rule.is_free
        else "Cancelling is not free any more, and moving does not change that"
    )
    return (
        f"{begins}: once {fee.therapist} agrees, {fee.owed} if you cancel, however early,"
        f" unless {fee.therapist} waives it."
    )


def leaving_now(fee: FeeWords, rule: Rule, zone: str, zone_named: str = "") -> str:
    """What withdrawing or cancelling at this moment means for the client."""
    if rule.is_enquiry or rule.is_free:
        return f"If you {'withdraw' if rule.is_enquiry else 'cancel'} now, {fee.returned}."
    return cancelling(fee, rule, zone, zone_named)


def why_cancelled(
    fee: FeeWords, because: str, is_owed: bool, notice: timedelta, by_ops: bool = False
) -> str:
    """Why a session that its client cancelled costs the fee, or nothing: a clause after Because.

    `by_ops`: our team cancelled it for the client.
    """
    who = "you" if fee.reader == "client" else fee.client
    cancelled = "it was cancelled" if by_ops else f"{who} cancelled"
    if because == "moved_late":
        return f"{who} had asked for this time when cancelling was no longer free"
    if because == "refused_move":
        return f"{who} had asked in time to move it, and it was not moved"
    if is_owed:
        return f"{cancelled} {duration(notice)} or less before the start"
    more = f"more than {duration(notice)} " if notice else ""
    return f"{cancelled} {more}before the start"


def cancelling_any_time(fee: FeeWords, notice: timedelta) -> str:
    """The client's rule while no time is chosen: true of every start."""
    if not notice:
        return f"Once accepted, cancel before it starts and {fee.returned}."
    length = duration(notice)
    return (
        f"Once accepted, cancel more than {length} before the start and {fee.returned};"
        f" at {length} or less, {fee.owed}."
    )
