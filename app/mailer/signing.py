"""Signs what we send (DKIM, RFC 6376: rsa-sha256, relaxed/relaxed)."""

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.mail_settings import private_key
from emails.addresses import sender_mailbox

# What a reader or a mail program goes by.
_SIGNED = (
    "from", "to", "reply-to", "subject", "date", "message-id", "in-reply-to", "references",
    "mime-version", "content-type", "content-transfer-encoding", "auto-submitted",
)  # fmt: skip
_FIELD = re.compile(rb"(?m)^([!-9;-~]+):((?:.*\r\n)(?:[ \t].*\r\n)*)")
_BLANKS = re.compile(rb"[ \t]+")
_LINE = 70


@dataclass(frozen=True, slots=True)
class Signer:
    """`domain` is the one in From, in ASCII."""

    domain: str
    selector: str
    key: RSAPrivateKey

    @property
    def record_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record to publish."""
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={b64encode(public).decode()}"

    def sign(self, wire: bytes) -> bytes:
        """The message, whose lines end in CR LF, with its signature at the top."""
        head, _, body = wire.partition(b"\r\n\r\n")
        fields = _FIELD.findall(head + b"\r\n")
        found = {name.lower().decode("ascii", "replace"): value for name, value in fields}
        names = [name for name in _SIGNED if name in found]
        body_hash = b64encode(sha256(_body(body)).digest()).decode()
        # From twice: so that a second one cannot be added.
        value = (
            f" v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain}; s={self.selector};\r\n"
            f" h={':'.join([*names, 'from'])};\r\n bh={body_hash};\r\n b="
        )
        signed = [_header(name, found[name]) for name in names]
        signed.append(_header("dkim-signature", value.encode()).removesuffix(b"\r\n"))
        signature = self.key.sign(b"".join(signed), PKCS1v15(), SHA256())
        text = b64encode(signature).decode()
        lines = "\r\n ".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))
        return f"DKIM-Signature:{value}{lines}\r\n".encode() + wire


@lru_cache(maxsize=4)
def signer_of(sender: str, selector: str, key: str) -> Signer:
    """`sender` as in MAIL_DEFAULT_SENDER, `key` as in DKIM_KEY. Raises ValueError."""
    return Signer(sender_mailbox("sender", sender).domain, selector, private_key(key))


def _header(name: str, value: bytes) -> bytes:
    flat = _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip()
    return name.encode() + b":" + flat + b"\r\n"


def _body(body: bytes) -> bytes:
    lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)
