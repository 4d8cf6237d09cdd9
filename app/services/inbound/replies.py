"""What people send back: calendar answers, yes and no, and messages to the other party."""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from app import config
from app.errors import MessagesEnded
from app.mail_reading import words
from app.mail_reading.facts import CalendarAnswer, InboundFacts
from app.rules import inbound as rules
from app.rules.inbound import CalendarCase, Decision, Reaction, Why, WordsCase
from app.rules.lifecycle import Actor, Move, Status, Via
from app.services import validation
from app.services.bookings import messages, transitions
from app.services.inbound import explain
from app.services.inbound.booking_of import About
from app.store.models import Booking, InboundMessage, Role
from app.store.queries import inbound as stored
from emails.kinds import KINDS

_ACTORS = {Role.CLIENT: Actor.CLIENT, Role.THERAPIST: Actor.THERAPIST}
_WITH_ENTRY = [name for name, kind in KINDS.items() if kind.calendar is not None]
# They ask for an answer.
_REQUESTS = [name for name, kind in KINDS.items() if "accept_url" in kind.values]
_OF_TIMES = "time_proposed"
# What a calendar sends when its owner presses a button.
_CALENDARS_OWN = ("REPLY", "COUNTER")
_CONTROL = ("Cc", "Cs")
_FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Reply:
    """A message about a booking that is locked, with its overdue moves made."""

    message: InboundMessage
    facts: InboundFacts
    about: About
    booking: Booking
    now: datetime

    @property
    def by(self) -> Actor:
        return _ACTORS[self.about.role]

    @property
    def status(self) -> Status:
        return self.booking.status

    def is_overtaken(self, answered_at: datetime) -> bool:
        """Whether its therapist suggested other times after it, which took its place."""
        suggested_at = self.booking.suggested_at if self.booking.waits_for_client else None
        is_therapists = self.by is Actor.THERAPIST
        return is_therapists and suggested_at is not None and answered_at < suggested_at

    @property
    def is_proven(self) -> bool:
        settings = config.current()
        person = self.booking.client if self.by is Actor.CLIENT else self.booking.therapist
        is_their_own = self.facts.sender_key == person.email_key
        return not settings.inbound_require_auth or (self.facts.is_authentic and is_their_own)


def handle(message: InboundMessage, facts: InboundFacts, about: About | None, now: datetime) -> str:
    """The outcome in a word; the booking's therapist is locked."""
    if facts.is_ours:
        return "loop"
    # Google's answers and suggestions call themselves automatic.
    is_automatic = facts.is_automatic or message.is_from_server
    is_calendars = facts.calendar is not None and facts.calendar.method in _CALENDARS_OWN
    if is_automatic and not is_calendars:
        return "automatic"
    if about is None or about.booking.client.is_erased:
        return _unplaced(message, facts, now)
    booking = transitions.lock_booking(about.booking)
    transitions.catch_up(booking, via=Via.MAIL, now=now)
    message.booking = booking
    reply = _Reply(message, facts, about, booking, now)
    if facts.calendar is not None:
        return _calendar(reply, facts.calendar)
    if facts.has_calendar:
        return _act(reply, Decision(Reaction.EXPLAIN, Why.UNCLEAR))
    return _words(reply)


def _unplaced(message: InboundMessage, facts: InboundFacts, now: datetime) -> str:
    person = message.therapist or message.client
    if facts.has_calendar or person is None:
        # Of a booking that is none of theirs they learn nothing.
        return "unknown_booking"
    return "unplaced" if explain.about_no_booking(person, now) else "unplaced_again"


def _calendar(reply: _Reply, answer: CalendarAnswer) -> str:
    person = reply.booking.client if reply.by is Actor.CLIENT else reply.booking.therapist
    key = _answer_key(answer, person.email_key)
    if stored.is_answered(key):
        return "repeated"
    # Neither a wrong clock nor a number that we never gave may outdo the answers to come.
    stamped_at = min(answer.stamped_at or _FIRST_INSTANT, reply.message.received_at)
    sequence = min(answer.sequence, reply.booking.sequence)
    column = InboundMessage.client if reply.by is Actor.CLIENT else InboundMessage.therapist
    is_superseded = stored.has_newer_answer(reply.booking, column == person, sequence, stamped_at)
    reply.message.answer_key = key
    reply.message.answer_sequence, reply.message.answer_stamped_at = sequence, stamped_at
    moved = stored.last_move(reply.booking)
    case = CalendarCase(
        by=reply.by,
        status=reply.status,
        method=answer.method,
        partstat=answer.partstat_of(person.email_key),
        is_plain=answer.is_plain,
        is_newest=answer.sequence == reply.booking.sequence and not reply.is_overtaken(stamped_at),
        is_before_move=moved is not None and answer.sequence < moved.facts["sequence"],
        is_superseded=is_superseded,
        is_out_of_office=rules.is_out_of_office(answer.comment),
        is_quick=_is_quick(reply, _handed_over(reply)),
        is_proven=reply.is_proven,
    )
    return _act(reply, rules.judge_calendar(case), reason=answer.comment)


def _answer_key(answer: CalendarAnswer, address_key: str) -> str:
    parts = (answer.uid, address_key, str(answer.sequence), str(answer.stamped_at), answer.method)
    return sha256("\0".join(parts).encode()).hexdigest()


def _words(reply: _Reply) -> str:
    facts, email = reply.facts, reply.about.email
    moved, text = stored.last_move(reply.booking), _cleaned(facts.text)
    is_before_move = moved is not None and email is not None and email.created_at < moved.at
    case = WordsCase(
        by=reply.by,
        status=reply.status,
        is_yes=facts.answer.is_yes if facts.answer else None,
        seems_answer=words.seems_answer(text),
        is_to_request=email is not None and email.kind in _REQUESTS,
        is_before_move=is_before_move,
        is_newest=not (is_before_move or reply.is_overtaken(reply.message.received_at)),
        is_to_times=email is not None and email.kind == _OF_TIMES,
        has_text=bool(text),
        has_attachments=facts.has_attachments,
        is_too_long=len(text) > validation.TEXT_LENGTH,
        takes_messages=reply.booking.takes_messages_at(reply.now),
        is_quick=_is_quick(reply, _asked_at(reply)),
        is_proven=reply.is_proven,
    )
    decision = rules.judge_words(case)
    if decision.reaction in (Reaction.ACCEPT, Reaction.DECLINE):
        assert facts.answer is not None
        rest = words.without_answer(text)
        return _act(reply, decision, reason=facts.answer.reason, rest=rest)
    return _act(reply, decision, rest=text)


def _act(reply: _Reply, decision: Decision, *, reason: str = "", rest: str = "") -> str:
    """`rest`: what is passed on to the other party, or given as a reason with a No."""
    match decision.reaction:
        case Reaction.ACCEPT if _move(reply, Move.ACCEPT):
            _pass_on(reply, rest)
            return "accepted"
        case Reaction.DECLINE if _move(
            reply, Move.DECLINE, "\n".join(filter(None, (reason, rest)))
        ):
            return "declined"
        case Reaction.ACCEPT | Reaction.DECLINE:
            # Its own time has passed while other times were suggested, say.
            return _act(reply, Decision(Reaction.EXPLAIN, Why.OLDER))
        case Reaction.MESSAGE:
            _pass_on(reply, rest)
            if decision.why:
                explain.about_booking(reply.booking, reply.about.role, decision.why, reply.now)
            return "message"
        case Reaction.EXPLAIN if not reply.message.is_from_server:
            assert decision.why is not None
            told = explain.about_booking(reply.booking, reply.about.role, decision.why, reply.now)
            return f"explained_{decision.why}" if told else "explained_before"
        case _:
            return "silent"


def _move(reply: _Reply, move: Move, reason: str = "") -> bool:
    """Whether it was made."""
    result = transitions.make_locked_move(
        reply.booking,
        move,
        by=reply.by,
        via=Via.MAIL,
        now=reply.now,
        reason=_cleaned(reason)[: validation.TEXT_LENGTH].rstrip(),
    )
    return result.is_done


def _pass_on(reply: _Reply, text: str) -> None:
    clean = _cleaned(text)[: validation.TEXT_LENGTH].rstrip()
    if clean:
        # Accepted just now, a session takes messages; the rule has asked for all others.
        with suppress(MessagesEnded):
            messages.send(reply.booking, clean, author=reply.by, now=reply.now)


def _cleaned(text: str) -> str:
    """Without control characters, which no page of ours takes."""
    kept = (each for each in text if each in "\n\t" or unicodedata.category(each) not in _CONTROL)
    return "".join(kept).strip()


def _handed_over(reply: _Reply) -> datetime | None:
    return stored.last_handed_over(reply.booking, reply.about.role, _WITH_ENTRY)


def _asked_at(reply: _Reply) -> datetime | None:
    """When the mail server took the email that was replied to."""
    email = reply.about.email
    # Who is asked to answer once more may do so at once.
    is_asked_again = email is not None and email.kind == explain.ABOUT_BOOKING
    return _handed_over(reply) if is_asked_again or email is None else email.settled_at


def _is_quick(reply: _Reply, handed_over_at: datetime | None) -> bool:
    if handed_over_at is None or config.current().demo_dir is not None:
        # In the demo people answer within seconds.
        return False
    waited = reply.message.received_at - handed_over_at
    return timedelta(0) <= waited < rules.TOO_QUICK
