"""Text encrypted at rest with NOTES_KEY and bound to the place where it is stored."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app import config
from app.errors import NotesKeyWrong, StoredTextMoved

# `v2.<fingerprint of the key>.<nonce and ciphertext>`. Release 0.1 stored bare Fernet tokens, which
# are bound to nothing; `mindsum notes rekey` writes them in this format.
_FORMAT = "v2"
_NONCE_BYTES = 12


@lru_cache(maxsize=16)
def fingerprint(key: str) -> str:
    """12 hexadecimal digits that name a key and do not help to find it."""
    return sha256(b"mindsum key " + urlsafe_b64decode(key)).hexdigest()[:12]


def current_prefix() -> str:
    """How a stored text begins that is in today's format and under the newest key."""
    return f"{_FORMAT}.{fingerprint(config.current().notes_key[0])}."


def encrypt(text: str, place: str) -> str:
    """`place` names the row and its purpose; the text opens nowhere else."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(config.current().notes_key[0]).encrypt(nonce, text.encode(), place.encode())
    return current_prefix() + urlsafe_b64encode(nonce + sealed).decode("ascii")


def decrypt(stored: str, place: str) -> str:
    """Raises NotesKeyWrong, or StoredTextMoved where the text was written for another place."""
    keys = config.current().notes_key
    if not stored.startswith(f"{_FORMAT}."):
        try:
            return MultiFernet([Fernet(key) for key in keys]).decrypt(stored).decode()
        except InvalidToken:
            raise NotesKeyWrong from None
    _, wanted, sealed = stored.split(".", 2)
    key = next((each for each in keys if fingerprint(each) == wanted), None)
    if key is None:
        raise NotesKeyWrong(wanted)
    try:
        raw = urlsafe_b64decode(sealed)
        opened = _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError):
        raise StoredTextMoved from None
    return opened.decode()


@lru_cache(maxsize=16)
def _cipher(key: str) -> AESGCM:
    # A key of its own for this use, since Fernet uses the same bytes for older texts.
    return AESGCM(derived_key(key, b"mindsum stored text"))


def derived_key(key: str, purpose: bytes) -> bytes:
    """32 bytes for one purpose from a Fernet key."""
    return HKDF(SHA256(), length=32, salt=None, info=purpose).derive(urlsafe_b64decode(key))
