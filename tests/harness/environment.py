"""The environment as tests set it, and what is loaded from it."""

from base64 import urlsafe_b64encode

import pytest

from app import config
from app.config import Settings
from app.errors import ConfigError

FERNET = urlsafe_b64encode(b"a Fernet key has 32 bytes, so it".ljust(32)).decode()


PRODUCTION = {
    "PUBLIC_URL": "https://bookings.example.org",
    "SECRET_KEY": "a long and random secret",
    "NOTES_KEY": FERNET,
    "OPS_EMAIL": "ops@example.org",
    "MAIL_DEFAULT_SENDER": "Mindsum <bookings@example.org>",
    "MAIL_SERVER": "smtp.example.org",
    "MAIL_USE_TLS": "true",
}


def loaded(environment: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        environment.setenv(name, value)
    return config.load()


def config_error(environment: pytest.MonkeyPatch, **values: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(environment, **values)
    return caught.value
