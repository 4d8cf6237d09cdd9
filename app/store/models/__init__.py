"""The tables: columns, constraints and partial indexes; no decisions."""

from app.store.models.access import AccessEntry, AccessEvent, Party
from app.store.models.base import Table
from app.store.models.bookings import (
    Booking,
    LedgerLine,
    ManageVisit,
    MonthEarned,
    Purpose,
    StandingEntry,
    TimelineEntry,
    Writing,
)
from app.store.models.email_requests import EmailRequest, EmailRequestKind
from app.store.models.inbound import Complaint, InboundMessage, InboundStatus, MailKey
from app.store.models.outbox import (
    DeliveryAttempt,
    EmailLimit,
    Hold,
    MailPause,
    OutboxEmail,
    OutboxStatus,
    Outcome,
    Role,
    Suppression,
)
from app.store.models.pending import HeldTime, PendingRequest
from app.store.models.people import (
    AccountState,
    CalendarFeed,
    Client,
    OpsPerson,
    Therapist,
    TherapistPhone,
    TherapistPhoto,
    TimeOff,
    Window,
)
from app.store.models.proposals import Proposal, ProposalEnd, ProposedTime
from app.store.models.sign_ins import Area, SignIn, SignInSession
from app.store.models.system import IdempotentAnswer, JobStatistics, LimitUse
from emails.addresses import email_key

__all__ = [
    "TABLES",
    "AccessEntry",
    "AccessEvent",
    "AccountState",
    "Area",
    "Booking",
    "CalendarFeed",
    "Client",
    "Complaint",
    "DeliveryAttempt",
    "EmailLimit",
    "EmailRequest",
    "EmailRequestKind",
    "HeldTime",
    "Hold",
    "IdempotentAnswer",
    "InboundMessage",
    "InboundStatus",
    "JobStatistics",
    "LedgerLine",
    "LimitUse",
    "MailKey",
    "MailPause",
    "ManageVisit",
    "MonthEarned",
    "OpsPerson",
    "OutboxEmail",
    "OutboxStatus",
    "Outcome",
    "Party",
    "PendingRequest",
    "Proposal",
    "ProposalEnd",
    "ProposedTime",
    "Purpose",
    "Role",
    "SignIn",
    "SignInSession",
    "StandingEntry",
    "Suppression",
    "Table",
    "Therapist",
    "TherapistPhone",
    "TherapistPhoto",
    "TimeOff",
    "TimelineEntry",
    "Window",
    "Writing",
    "email_key",
]

TABLES: tuple[type[Table], ...] = (
    Therapist, Window, TimeOff, TherapistPhone, Client, Booking, TimelineEntry, LedgerLine,
    MonthEarned, Writing, StandingEntry, OutboxEmail, PendingRequest, Proposal, ProposedTime,
    HeldTime, DeliveryAttempt, SignIn, SignInSession, IdempotentAnswer, JobStatistics,
    Suppression, Hold, MailPause, EmailLimit, ManageVisit, AccessEntry, LimitUse, EmailRequest,
    InboundMessage, Complaint, MailKey, TherapistPhoto, CalendarFeed,
)  # fmt: skip
