"""Proof of delivery for operators: an email to ourselves, and what the DNS says of our domains."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP, compat32
from email.utils import format_datetime
from typing import Any

from app import clock, config
from app.mail_reading import authentication, mime
from app.mail_settings import private_key
from app.mailer import Mailer, MailError, Outgoing
from app.mailer.signing import Signer
from app.services.inbound import addresses
from app.store.models import InboundMessage
from emails.addresses import sender_mailbox

POLL_S = 0.5
_METHODS = ("spf", "dkim", "dmarc")


@dataclass(frozen=True, slots=True)
class Finding:
    """`says`: what is well, or the fault and what to publish or to set."""

    about: str
    is_ok: bool
    says: str


def sending_domain() -> str:
    return sender_mailbox("sender", config.current().mail_default_sender).domain


def send_and_wait(mailer: Mailer, wait_s: float) -> Iterator[Finding]:
    """Send one email to the door, and read what our mail server wrote on it."""
    number = 1 + secrets.randbelow(10**9)
    to = addresses.of_check(number)
    try:
        _send(mailer, to, number)
    except MailError as error:
        yield Finding("sending", False, f"the mail server did not take it: {error}")
        return
    yield Finding("sending", True, "the mail server took an email to ourselves")
    raw = _wait_for(number, wait_s)
    if raw is None:
        yield Finding(
            "arrival",
            False,
            f"it did not reach the mail door within {wait_s:g} s: look at the MX record of"
            f" {config.current().inbound_domain}, at your mail server's transport to the door, and"
            " whether the process inbound runs",
        )
        return
    yield Finding("arrival", True, "it reached the mail door")
    yield from _read_back(raw)


def _send(mailer: Mailer, to: str, number: int) -> None:
    sender = sender_mailbox("sender", config.current().mail_default_sender)
    message = EmailMessage(policy=SMTP)
    message["Date"] = format_datetime(clock.now())
    message["From"] = sender
    message["To"] = to
    message["Subject"] = "A check of the mail door"
    message["Message-ID"] = f"<check-{number}@{config.current().public_host}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("This email checks how mail of this site arrives.\n")
    outgoing = Outgoing(to, mailer.sign(message.as_bytes()), envelope_sender=to)
    with mailer.connect() as connection:
        for _, error in connection.deliver([outgoing]):
            if error:
                raise error


def _wait_for(number: int, wait_s: float) -> bytes | None:
    until = time.monotonic() + wait_s
    is_it = InboundMessage.sender_of == f"check+{number}"
    while True:
        found = InboundMessage.get_or_none(is_it)
        if found is not None:
            content = bytes(str(found.content).encode("latin-1"))
            InboundMessage.delete().where(is_it).execute()
            return content
        if time.monotonic() >= until:
            return None
        time.sleep(POLL_S)


def _read_back(raw: bytes) -> Iterator[Finding]:
    message = BytesHeaderParser(policy=compat32).parsebytes(raw)
    received = mime.fields(message, "Received")
    is_tls = any(" with ESMTPS" in each or "TLS" in each for each in received)
    yield Finding(
        "tls",
        is_tls,
        "it travelled encrypted" if is_tls else "no server on its way says that it was encrypted",
    )
    authserv = config.current().inbound_authserv
    if authserv is None:
        says = "set INBOUND_AUTHSERV to the name at the start of Authentication-Results"
        yield Finding("auth", False, says)
        return
    fields = mime.fields(message, "Authentication-Results")
    by_method = authentication.results(fields, authserv)
    if not by_method:
        yield Finding("auth", False, f"the email has no Authentication-Results of {authserv}")
        return
    for method in _METHODS:
        results = [result for result, _ in by_method.get(method, [])]
        says = f"{', '.join(results) or 'not checked'} at {authserv}"
        yield Finding(method, "pass" in results, says)


def ask_dns(
    texts_of: Callable[[str], list[str]], has_mx: Callable[[str], bool]
) -> Iterator[Finding]:
    """`texts_of`: the TXT records of a name; each fault with the record to publish."""
    settings, domain = config.current(), sending_domain()
    if settings.inbound_domain is not None:
        name, found = settings.inbound_domain, has_mx(settings.inbound_domain)
        publish = f"{name} has no MX record; publish: {name}. MX 10 YOUR-MAIL-SERVER."
        yield Finding("mx", found, f"{name} has an MX record" if found else publish)
    # SPF is asked of the envelope sender's domain, which is the mail door's.
    for name in dict.fromkeys(filter(None, (settings.inbound_domain, domain))):
        yield _spf(name, texts_of(name))
    yield _dmarc(domain, texts_of(f"_dmarc.{domain}"))
    if settings.dkim_key is not None and settings.dkim_selector is not None:
        signer = Signer(domain, settings.dkim_selector, private_key(settings.dkim_key))
        yield _dkim(signer, texts_of(signer.record_name))


def _spf(name: str, texts: list[str]) -> Finding:
    records = [each for each in texts if each.lower().startswith("v=spf1")]
    if len(records) > 1:
        return Finding("spf", False, f"{name} has {len(records)} SPF records; keep one")
    if not records:
        example = f'{name}. TXT "v=spf1 include:YOUR-MAIL-PROVIDER -all"'
        return Finding("spf", False, f"{name} has no SPF record; publish: {example}")
    if records[0].split()[-1].lower() in ("+all", "all", "?all"):
        return Finding("spf", False, f"{name} lets everybody send; end its record in -all")
    return Finding("spf", True, f"{name} has an SPF record")


def _dmarc(domain: str, texts: list[str]) -> Finding:
    records = [each for each in texts if each.lower().startswith("v=dmarc1")]
    if len(records) == 1:
        return Finding("dmarc", True, f"{domain} has a DMARC record")
    ops = config.current().ops_email
    example = f'_dmarc.{domain}. TXT "v=DMARC1; p=quarantine; rua=mailto:{ops}"'
    return Finding("dmarc", False, f"{domain} has {len(records)} DMARC records; publish: {example}")


def _dkim(signer: Signer, texts: list[str]) -> Finding:
    name, wanted = signer.record_name, signer.record
    has_key = any(_key_in(each) == _key_in(wanted) for each in texts)
    publish = f'{name} does not have the key of DKIM_KEY; publish: {name}. TXT "{wanted}"'
    return Finding("dkim", has_key, f"{name} has the key of DKIM_KEY" if has_key else publish)


def _key_in(record: str) -> str:
    tags = (tag.partition("=") for tag in record.split(";"))
    return next(("".join(value.split()) for name, _, value in tags if name.strip() == "p"), "")


def resolver(server: str | None) -> Any:
    """dnspython's; it asks `server` ("ADDRESS:PORT"), if one is given. Raises ValueError."""
    # Imported by the one command that asks.
    import dns.resolver  # noqa: PLC0415

    if server is None:
        return dns.resolver.Resolver()
    address, _, port = server.rpartition(":")
    asking = dns.resolver.Resolver(configure=False)
    asking.nameservers, asking.port = [address or port], int(port) if address else 53
    if not 0 < asking.port < 65536:
        raise ValueError("no port")
    return asking


def records(asking: Any, kind: str) -> Callable[[str], list[str]]:
    """The records of one kind of a name, as texts. Asking raises DNSException."""
    import dns.resolver  # noqa: PLC0415

    def ask(name: str) -> list[str]:
        try:
            answer = asking.resolve(name, kind, lifetime=5)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        if kind != "TXT":
            return [str(each) for each in answer]
        return [b"".join(each.strings).decode("utf-8", "replace") for each in answer]

    return ask
