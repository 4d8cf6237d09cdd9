"""Who an address of the mail door belongs to, and which addresses an email of ours carries."""

from dataclasses import dataclass
from email.headerregistry import Address

from app import config, mail_addresses
from app.mail_addresses import AddressKind, DoorAddress
from app.store import mail_keys, queries
from app.store.models import Booking, Client, OutboxEmail, Role, Therapist
from emails.addresses import sender_mailbox
from emails.kinds import KINDS

# A visitor's address of an email is nothing to reply to, and ops is no recipient of a booking.
_PEOPLE = (Role.CLIENT, Role.THERAPIST)

Person = Therapist | Client


@dataclass(frozen=True, slots=True)
class Owner:
    """What a good address names: a person, or an email of ours."""

    kind: AddressKind
    subject: str
    therapist: Therapist | None = None
    client: Client | None = None
    email: OutboxEmail | None = None

    @property
    def person(self) -> Person | None:
        return self.therapist or self.client


def is_open() -> bool:
    """Whether there is a mail door."""
    return config.current().inbound_domain is not None


def owner_of(address: str) -> Owner | None:
    """None for what is no address of ours, or not any more; each takes the same steps."""
    local, _, domain = address.rpartition("@")
    if domain.lower().rstrip(".") != config.current().inbound_domain:
        return None
    parsed = mail_addresses.parse(local) or _NOWHERE
    owner = _named_by(parsed)
    bound_to = _bound_to(owner) if owner else ""
    is_good = mail_addresses.is_good(parsed, bound_to, mail_keys.addresses_key())
    return owner if is_good else None


# A number that no row has: what is no address is looked up and compared like any other.
_NOWHERE = DoorAddress(AddressKind.PERSON, "t0", "a" * mail_addresses.TAG_LENGTH)


def _named_by(address: DoorAddress) -> Owner | None:
    kind, subject = address.kind, address.subject
    match kind:
        case AddressKind.PERSON:
            person = _person(subject)
            if isinstance(person, Therapist):
                return Owner(kind, subject, therapist=person)
            return Owner(kind, subject, client=person) if person else None
        case AddressKind.REPLY | AddressKind.BOUNCE:
            email = OutboxEmail.get_or_none(OutboxEmail.id == int(subject))
            return _of_email(kind, subject, email) if email else None
        case AddressKind.CHECK | AddressKind.COMPLAINTS:
            return Owner(kind, subject)


def _person(subject: str) -> Person | None:
    if subject[0] == "t":
        person: Person | None = Therapist.get_or_none(Therapist.id == int(subject[1:]))
    else:
        person = Client.get_or_none(Client.id == int(subject[1:]))
    return None if person is None or person.is_erased else person


def _of_email(kind: AddressKind, subject: str, email: OutboxEmail) -> Owner:
    recipient = email.recipient
    return Owner(
        kind,
        subject,
        therapist=recipient if isinstance(recipient, Therapist) else None,
        client=recipient if isinstance(recipient, Client) else None,
        email=email,
    )


def _bound_to(owner: Owner) -> str:
    """What ends the address when it changes."""
    if owner.email is None:
        return _epochs(owner.person, owner.person.addresses_epoch) if owner.person else ""
    # The address of a bounce is seen by the recipient's mail server alone; it is no key to act.
    person = owner.person
    epoch = person.addresses_epoch if person and owner.kind is AddressKind.REPLY else 0
    # Numbers of emails come again where an older database was restored.
    return f"{owner.email.about} {owner.email.ordinal} {_epochs(person, epoch)}"


def _epochs(person: Person | None, addresses_epoch: int) -> str:
    return f"{person.link_holder} {addresses_epoch}" if person else ""


def of_person(person: Person, addresses_epoch: int | None = None) -> str:
    """The local part of the organizer of their entries."""
    letter = "t" if isinstance(person, Therapist) else "c"
    epoch = person.addresses_epoch if addresses_epoch is None else addresses_epoch
    return mail_addresses.local_part(
        AddressKind.PERSON,
        f"{letter}{person.id}",
        _epochs(person, epoch),
        mail_keys.addresses_key(),
    )


def of_email(kind: AddressKind, email: OutboxEmail) -> str:
    """The address for replies to, or bounces of, one email."""
    subject = str(email.id)
    bound_to = _bound_to(_of_email(kind, subject, email))
    key = mail_keys.addresses_key()
    return f"{mail_addresses.local_part(kind, subject, bound_to, key)}@{_domain()}"


def of_check(number: int) -> str:
    """Where `mindsum check mail` writes to itself."""
    kind, key = AddressKind.CHECK, mail_keys.addresses_key()
    return f"{mail_addresses.local_part(kind, str(number), '', key)}@{_domain()}"


def _domain() -> str:
    domain = config.current().inbound_domain
    assert domain is not None
    return domain


@dataclass(frozen=True, slots=True)
class Organizer:
    """`sender` as in MAIL_DEFAULT_SENDER; `hears` whether a Yes or No to the entry reaches us."""

    sender: str
    hears: bool


def facts_of_organizer(therapist: Therapist, client: Client) -> dict[str, object]:
    """What a request records, so that the organizer of its entries never changes."""
    settings = config.current()
    if settings.inbound_domain is None:
        return {}
    return {
        "organizer_domain": settings.inbound_domain,
        "organizer_epochs": {
            str(Role.THERAPIST): [therapist.links_epoch, therapist.addresses_epoch],
            str(Role.CLIENT): [client.links_epoch, client.addresses_epoch],
        },
    }


def organizer_of(booking: Booking, role: Role) -> Organizer:
    """For the life of the entry, also after settings have changed or ops ended addresses."""
    settings, facts = config.current(), queries.facts_of_request(booking)
    # Release 0.1 did not record it.
    sender = str(facts.get("organizer", settings.mail_default_sender))
    domain = facts.get("organizer_domain")
    if domain is None or role not in _PEOPLE:
        return Organizer(sender, hears=False)
    person = booking.client if role is Role.CLIENT else booking.therapist
    links_epoch, addresses_epoch = facts["organizer_epochs"][str(role)]
    if links_epoch != person.links_epoch:
        # Another mailbox, and so another calendar.
        addresses_epoch = person.addresses_epoch
    named = sender_mailbox("organizer", sender)
    address = Address(named.display_name, of_person(person, addresses_epoch), domain)
    is_current = addresses_epoch == person.addresses_epoch
    return Organizer(str(address), hears=is_current and domain == settings.inbound_domain)


def reply_to(email: OutboxEmail) -> str:
    """Where a reply to it is heard; empty where that is SUPPORT_EMAIL."""
    if not is_open() or email.booking is None or email.role not in _PEOPLE:
        return ""
    if KINDS[email.kind].calendar is not None:
        organizer = organizer_of(email.booking, email.role)
        if organizer.hears:
            # Some calendar programs take an update only where both are the same.
            return sender_mailbox("organizer", organizer.sender).addr_spec
    return of_email(AddressKind.REPLY, email)


def envelope_sender(email: OutboxEmail) -> str | None:
    """Where a bounce of it is heard; None: MAIL_DEFAULT_SENDER."""
    return of_email(AddressKind.BOUNCE, email) if is_open() else None
