"""Settings of mail: how it leaves, where replies come in, how our own is signed."""

import re
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import BaseSettings

from app import urls
from emails.addresses import ascii_domain, sender_mailbox

# Leaves room for the longest local part in an address of 254 characters.
_LONGEST_DOMAIN = 189
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_LEAST_BITS = 1024


def keeping(check: Callable[[Any], object]) -> AfterValidator:
    """Refuses what `check` refuses, and keeps the value as it was typed."""

    def keep(value: Any) -> Any:
        check(value)
        return value

    return AfterValidator(keep)


def _ip(value: str) -> str:
    return str(ip_address(value.strip("[]")))


def _domain(value: str) -> str:
    domain = urls.host_name(value)
    if len(domain) > _LONGEST_DOMAIN or "." not in domain or urls.is_ip_address(domain):
        raise ValueError("not a domain for addresses")
    return domain


IpAddress = Annotated[str, AfterValidator(_ip)]


class MailSettings(BaseSettings):
    mail_server: Annotated[str, AfterValidator(urls.host)] = Field(
        "127.0.0.1", description="a host name or an IP address"
    )
    mail_port: int = Field(1025, ge=1, le=65535, description="a port from 1 to 65535")
    mail_use_tls: bool = Field(False, description="true or false")
    mail_use_ssl: bool = Field(False, description="true or false")
    # Where PUBLIC_URL is https, emails travel to another machine in plaintext only with this.
    mail_plaintext_ok: bool = Field(False, description="true or false")
    mail_username: str | None = Field(None, description="a text")
    mail_password: str | None = Field(None, description="a text")
    mail_default_sender: Annotated[str, keeping(partial(sender_mailbox, "sender"))] = Field(
        "Mindsum Bookings <bookings@mindsum.invalid>",
        description="an address, such as Mindsum <bookings@example.org>",
    )
    # For each reply of the mail server; a lease of the outbox is a multiple of it.
    mail_timeout: float = Field(
        10, description="seconds above 0, at most 300", gt=0, le=300, allow_inf_nan=False
    )
    # Without it nothing that people send back is heard.
    inbound_domain: Annotated[str, AfterValidator(_domain)] | None = Field(
        None, description="a domain whose mail reaches INBOUND_PORT, such as in.example.org"
    )
    inbound_port: int = Field(2525, ge=1, le=65535, description="a port from 1 to 65535")
    inbound_bind: IpAddress = Field(
        "127.0.0.1", description="an IP address to listen on, such as 127.0.0.1 or 0.0.0.0"
    )
    inbound_lmtp: bool = Field(False, description="true or false")
    # Whether only mail with a passing DKIM or SPF of its sender's domain can act.
    inbound_require_auth: bool = Field(False, description="true or false")
    # The name with which our own mail server begins Authentication-Results; only those are read.
    inbound_authserv: Annotated[str, AfterValidator(partial(ascii_domain, "host"))] | None = Field(
        None, description="a host name as in Authentication-Results, such as mx.example.org"
    )
    # An RSA key in PEM, as base64 of its DER, or the path of a file with either.
    dkim_key: str | None = Field(None, description="an RSA private key in PEM or base64, or a file")
    dkim_selector: str | None = Field(None, description="a name such as mindsum, lower case")

    @field_validator("dkim_key")
    @classmethod
    def _is_key(cls, value: str | None) -> str | None:
        if value is not None:
            private_key(value)
        return value

    @field_validator("dkim_selector")
    @classmethod
    def _is_label(cls, value: str | None) -> str | None:
        if value is not None and not all(map(_SELECTOR.fullmatch, value.split("."))):
            raise ValueError("not a selector")
        return value


def private_key(value: str) -> RSAPrivateKey:
    """The key that signs our mail. Raises ValueError."""
    text = value if "-----BEGIN" in value else _read(value)
    # In an environment variable a line end is often written as \n.
    pem = text.replace("\\n", "\n").strip()
    if pem.startswith("-----BEGIN"):
        key = load_pem_private_key(pem.encode(), None)
    else:
        key = load_der_private_key(b64decode("".join(pem.split()), validate=True), None)
    if not isinstance(key, RSAPrivateKey) or key.key_size < _LEAST_BITS:
        raise ValueError("not an RSA key of 1024 bits or more")
    return key


def _read(value: str) -> str:
    try:
        return Path(value).read_text("ascii") if len(value) < 500 else value
    except OSError:
        return value
