"""Settings that are refused or reported where the site is in production."""

from base64 import urlsafe_b64encode

import pytest

from app import config, config_checks
from tests.harness.environment import PRODUCTION, config_error, loaded

NOT_FOR_PRODUCTION = [
    ("SECRET_KEY", {"SECRET_KEY": ""}),
    ("SECRET_KEY", {"SECRET_KEY": "fifteen letters"}),
    ("SECRET_KEY", {"SECRET_KEY": "abcabcabcabcabcabcabcabc"}),
    ("SECRET_KEY", {"SECRET_KEY": " development-only "}),
    ("SECRET_KEY", {"SECRET_KEY": "hard to guess string"}),
    ("SECRET_KEY_FALLBACKS", {"SECRET_KEY_FALLBACKS": "development-only"}),
    ("SECRET_KEY_FALLBACKS", {"SECRET_KEY_FALLBACKS": "another long and random one,old"}),
    ("NOTES_KEY", {"NOTES_KEY": ""}),
    ("NOTES_KEY", {"NOTES_KEY": urlsafe_b64encode(bytes(32)).decode()}),
    ("NOTES_KEY", {"NOTES_KEY": "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="}),
    ("API_KEYS", {"API_KEYS": "demo"}),
    ("API_KEYS", {"API_KEYS": "a-long-and-random-key,shop:read:secret"}),
    ("MONITORING_KEY", {"MONITORING_KEY": "metrics"}),
    ("DEMO_DIR", {"DEMO_DIR": "/tmp/demo"}),
    ("RATELIMIT_ENABLED", {"RATELIMIT_ENABLED": "false"}),
    ("CONFIRM_ADDRESS", {"CONFIRM_ADDRESS": "never"}),
    ("MAIL_USE_TLS", {"MAIL_USE_TLS": "false"}),
    ("MAIL_USE_TLS", {"MAIL_USE_TLS": "", "MAIL_SERVER": "10.0.0.5"}),
]


FINE_FOR_PRODUCTION: list[dict[str, str]] = [
    {"CONFIRM_ADDRESS": "never", "VISITORS_ARE_SIGNED_IN": "true"},
    {"MAIL_USE_TLS": "", "MAIL_USE_SSL": "true"},
    {"MAIL_USE_TLS": "", "MAIL_PLAINTEXT_OK": "true"},
    *({"MAIL_USE_TLS": "", "MAIL_SERVER": host} for host in ("localhost", "127.0.0.2", "::1")),
    {"API_KEYS": "shop:read:a-long-and-random-key"},
    {"BIND": "127.0.0.1"},
    {"MONITORING_KEY": "a-long-and-random-key"},
]


DEFAULT_ADDRESSES = [
    ("OPS_EMAIL", ""),
    ("OPS_EMAIL", "ops@Mindsum.INVALID"),
    ("SUPPORT_EMAIL", "help@mindsum.invalid"),
    ("MAIL_DEFAULT_SENDER", ""),
    ("MAIL_DEFAULT_SENDER", "Mindsum <bookings@mindsum.invalid>"),
    ("MAIL_DEFAULT_SENDER", "bookings@invalid"),
]


@pytest.mark.parametrize(("name", "values"), NOT_FOR_PRODUCTION)
def test_production_refuses_by_name_what_is_not_safe(
    environment: pytest.MonkeyPatch, name: str, values: dict[str, str]
) -> None:
    assert config_error(environment, **{**PRODUCTION, **values}).name == name


@pytest.mark.parametrize("values", FINE_FOR_PRODUCTION, ids=str)
def test_production_starts_with_what_is_safe(
    environment: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    assert loaded(environment, **{**PRODUCTION, **values}).is_production


@pytest.mark.parametrize(("name", "values"), NOT_FOR_PRODUCTION)
def test_what_production_refuses_is_fine_in_development(
    environment: pytest.MonkeyPatch, name: str, values: dict[str, str]
) -> None:
    assert not loaded(environment, **values).is_production


def test_production_with_secrets_of_its_own_starts(environment: pytest.MonkeyPatch) -> None:
    settings = loaded(environment, **PRODUCTION)
    assert settings.is_production
    assert list(config_checks.missing_address(settings)) == []


@pytest.mark.parametrize(("name", "address"), DEFAULT_ADDRESSES)
def test_check_reports_a_default_address_in_production(
    environment: pytest.MonkeyPatch, name: str, address: str
) -> None:
    settings = loaded(environment, **{**PRODUCTION, name: address})
    [missing] = config_checks.missing_address(settings)
    assert missing.name == name


def test_a_default_address_is_fine_outside_production(
    environment: pytest.MonkeyPatch,
) -> None:
    assert list(config_checks.missing_address(config.load())) == []


@pytest.mark.parametrize("name", ["SECRET_KEY", "NOTES_KEY", "DATABASE_URL"])
def test_the_error_line_never_repeats_a_secret(environment: pytest.MonkeyPatch, name: str) -> None:
    error = config_error(environment, **{**PRODUCTION, name: "hunter2"})
    assert error.name == name
    assert "hunter2" not in str(error)
