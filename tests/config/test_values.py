"""Settings: defaults, checks of each value, and the one line that stops the start."""

import re

import pytest

from app import config
from app.config import Settings
from app.errors import ConfigError
from tests.harness.environment import FERNET, PRODUCTION, config_error
from tests.harness.processes import ROOT

DEFAULTS = {
    "ANSWER_WITHIN_HOURS": 3,
    "REMIND_ANSWER_AFTER_HOURS": 2,
    "EXPIRE_AFTER_HOURS": 24,
    "FREE_CANCELLATION_HOURS": 24,
    "COMMISSION_PERCENT": 10,
    "WARN_STREAK": 3,
    "FLAG_STREAK": 4,
    "DEACTIVATE_STREAK": 5,
    "MIN_NOTICE_HOURS": 4,
    "MAX_AHEAD_DAYS": 60,
    "SLOT_MINUTES": 30,
    "SESSION_MINUTES": 50,
    "CONSULTATION_MINUTES": 30,
    "RANKING_DAYS": 90,
    "NO_SHOW_WITHIN_DAYS": 7,
    "MAIL_TIMEOUT": 10,
    "PORT": 8000,
    "LOG_FORMAT": "text",
    "RATELIMIT_ENABLED": True,
    "RATELIMIT_STORAGE_URI": "memory://",
    "CURRENCY": "GBP",
    "PAYMENT": "later",
    "CRISIS_NOTE": config.CRISIS_NOTE,
    "OUTBOX_RETRY_SECONDS": 30,
    "SWEEP_SECONDS": 3,
    "ACCESS_TRAIL_DAYS": 365,
}


BAD = [
    ("DATABASE_URL", "mysql://host/name"),
    ("DATABASE_URL", "sqlite:///"),
    ("NOTES_KEY", "not-a-key"),
    ("NOTES_KEY", f"{FERNET},short"),
    ("NOTES_KEY", ","),
    ("PUBLIC_URL", "bookings.example.org"),
    ("PUBLIC_URL", "ftp://bookings.example.org"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://bookings.example.org/?a=b"),
    ("PUBLIC_URL", "https://bookings..example.org"),
    ("PUBLIC_URL", "https://bookings.example.org:0"),
    ("PUBLIC_URL", "https://book\tings.example.org"),
    ("PUBLIC_URL", "https://book ings.example.org"),
    ("MAIL_PORT", "smtp"),
    ("MAIL_PORT", "0"),
    ("MAIL_PORT", "65536"),
    ("MAIL_USE_TLS", "perhaps"),
    ("MAIL_USE_SSL", "2"),
    ("MAIL_DEFAULT_SENDER", "nobody"),
    ("MAIL_DEFAULT_SENDER", "a@b.example\nBcc: c@d.example"),
    ("MAIL_DEFAULT_SENDER", "bookings@foo..bar"),
    ("MAIL_DEFAULT_SENDER", "bookings@☃.example"),
    ("MAIL_DEFAULT_SENDER", "Mindsum <bookings@.example>"),
    ("MAIL_DEFAULT_SENDER", "Mindsum <bookings@mindsum.example"),
    ("MAIL_DEFAULT_SENDER", "Mindsum bookings@mindsum.example"),
    ("MAIL_DEFAULT_SENDER", "a@b@mindsum.example"),
    ("MAIL_DEFAULT_SENDER", "Mindsum, Ltd <bookings@mindsum.example>"),
    ("MAIL_DEFAULT_SENDER", "Mindsum @ home <bookings@mindsum.example>"),
    ("MAIL_DEFAULT_SENDER", "Mind\u202esum <bookings@mindsum.example>"),
    ("MAIL_DEFAULT_SENDER", "Mindsum <book\u00a0ings@mindsum.example>"),
    ("MAIL_DEFAULT_SENDER", f"{'b' * 65}@mindsum.example"),
    ("MAIL_DEFAULT_SENDER", f"{'b' * 60}@{'mindsum.' * 26}example"),
    ("MAIL_SERVER", "smtp://mail.example.org"),
    ("MAIL_SERVER", "mail.example.org:587"),
    ("MAIL_SERVER", "mail..example.org"),
    ("MAIL_SERVER", "mail example"),
    ("MAIL_PLAINTEXT_OK", "perhaps"),
    ("BIND", "localhost"),
    ("BIND", "0.0.0.0:8000"),
    ("BIND", "127.0.0.256"),
    ("OPS_SIGN_IN", "olu"),
    ("OPS_SIGN_IN", "olu@desk"),
    ("OPS_SIGN_IN", "olu@mindsum.invalid"),
    ("OPS_SIGN_IN", "olu@ops.example; pia@ops.example"),
    ("OPS_SIGN_IN", "olu@ops.example, Olu@OPS.example"),
    ("API_KEYS", "shop:reed:secret"),
    ("API_KEYS", "shop:read:"),
    ("API_KEYS", "shop-of-the-clinic:write"),
    ("INBOUND_DOMAIN", "10.0.0.1"),
    ("INBOUND_DOMAIN", "in.example.1"),
    ("ERASURE_LOG", "/"),
    ("ERASURE_LOG", "/" + "x" * 300),
    ("API_KEYS", "sh op:read:secret"),
    ("API_KEYS", ":write:secret"),
    ("API_KEYS", "shop:read:secret,secret"),
    ("API_KEYS", "shop:write:s=ecret"),
    ("MAIL_TIMEOUT", "0"),
    ("MAIL_TIMEOUT", "nan"),
    ("MAIL_TIMEOUT", "inf"),
    ("OPS_EMAIL", "ops"),
    ("OPS_EMAIL", "ops@example.org, more@example.org"),
    ("OPS_EMAIL", "ops@foo..bar"),
    ("OPS_EMAIL", "ops@example.org."),
    ("OPS_EMAIL", "Ops <ops@example.org>"),
    ("OPS_EMAIL", "o\u200eps@example.org"),
    ("OPS_EMAIL", f"{'o' * 60}@{'mindsum.' * 26}example"),
    ("SUPPORT_EMAIL", "help"),
    ("SUPPORT_EMAIL", "Help <help@example.org>"),
    ("SUPPORT_EMAIL", "help@example.org, more@example.org"),
    ("SUPPORT_EMAIL", "hélp@example.org"),
    ("CRISIS_NOTE", "Call 999"),
    ("CRISIS_NOTE", "Call 999.\nOr 116 123."),
    ("CRISIS_NOTE", "Call \u202e999, or 116 123."),
    ("CRISIS_NOTE", "9" * 201),
    ("MONITORING_KEY", "two words"),
    ("PORT", "80.5"),
    ("PORT", "-1"),
    ("WEB_CONCURRENCY", "0"),
    ("LOG_FORMAT", "xml"),
    ("PAYMENT", "cash"),
    ("RATELIMIT_ENABLED", "maybe"),
    ("CONFIRM_ADDRESS", "sometimes"),
    ("UNCONFIRMED_MINUTES", "0"),
    ("OPEN_PER_THERAPIST", "0"),
    ("RATELIMIT_STORAGE_URI", "nowhere"),
    ("CURRENCY", "pounds"),
    ("CURRENCY", "gbp"),
    ("OUTBOX_RETRY_SECONDS", "-5"),
    ("SWEEP_SECONDS", "11"),
    ("INBOUND_DOMAIN", "in"),
    ("INBOUND_DOMAIN", "in..example.org"),
    ("INBOUND_DOMAIN", f"{'in.' * 64}example"),
    ("INBOUND_PORT", "0"),
    ("INBOUND_BIND", "localhost"),
    ("INBOUND_LMTP", "perhaps"),
    ("INBOUND_AUTHSERV", "mx example"),
    ("DKIM_KEY", "not a key"),
    ("DKIM_KEY", FERNET),
    ("DKIM_SELECTOR", "Mind sum"),
    ("ACCESS_TRAIL_DAYS", "0"),
    ("ACCESS_TRAIL_DAYS", "ever"),
    ("ANSWER_WITHIN_HOURS", "three"),
    ("ANSWER_WITHIN_HOURS", "0"),
    ("ANSWER_WITHIN_HOURS", "NaN"),
    ("REMIND_ANSWER_AFTER_HOURS", "-1"),
    ("EXPIRE_AFTER_HOURS", "Infinity"),
    ("FREE_CANCELLATION_HOURS", "-0.1"),
    ("COMMISSION_PERCENT", "101"),
    ("COMMISSION_PERCENT", "-1"),
    ("WARN_STREAK", "0"),
    ("FLAG_STREAK", "3.5"),
    ("DEACTIVATE_STREAK", "many"),
    ("MIN_NOTICE_HOURS", "0"),
    ("MAX_AHEAD_DAYS", "-3"),
    ("SLOT_MINUTES", "0"),
    ("SESSION_MINUTES", "1441"),
    ("CONSULTATION_MINUTES", "half an hour"),
    ("RANKING_DAYS", "0"),
    ("NO_SHOW_WITHIN_DAYS", "-1"),
]


CONTRADICTIONS = [
    ("REMIND_ANSWER_AFTER_HOURS", {"REMIND_ANSWER_AFTER_HOURS": "3"}),
    ("ANSWER_WITHIN_HOURS", {"EXPIRE_AFTER_HOURS": "3"}),
    ("ANSWER_WITHIN_HOURS", {"ANSWER_WITHIN_HOURS": "4.5"}),
    ("WARN_STREAK", {"WARN_STREAK": "4"}),
    ("FLAG_STREAK", {"FLAG_STREAK": "5"}),
    ("MIN_NOTICE_HOURS", {"MIN_NOTICE_HOURS": "48", "MAX_AHEAD_DAYS": "2"}),
    ("MAIL_USE_TLS", {"MAIL_USE_TLS": "true", "MAIL_USE_SSL": "true"}),
    ("DKIM_KEY", {"DKIM_SELECTOR": "mindsum"}),
    ("INBOUND_AUTHSERV", {"INBOUND_REQUIRE_AUTH": "true"}),
    ("MAIL_USERNAME", {"MAIL_PASSWORD": "s3cret"}),
    *(
        (name, {name: "people@IN.example", "INBOUND_DOMAIN": "in.example"})
        for name in ("OPS_EMAIL", "SUPPORT_EMAIL", "OPS_SIGN_IN")
    ),
]


def test_without_an_environment_every_setting_has_its_published_default() -> None:
    settings = config.load()
    assert {name: getattr(settings, name.lower()) for name in DEFAULTS} == DEFAULTS
    assert not settings.is_production


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_setting_stops_the_start_in_one_line_that_names_it(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    error = config_error(environment, **{name: value})
    assert error.name == name
    assert re.fullmatch(rf"{name} should be [^\n]+", str(error))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"DATABASE_URL": "mysql://x/y"}, ["DATABASE_URL"]),
        ({"MAIL_PORT": "x", "OPS_EMAIL": "ops@example.org"}, ["MAIL_PORT"]),
        ({"MAIL_PORT": "x", "OPS_EMAIL": "two, names"}, ["MAIL_PORT", "OPS_EMAIL"]),
        ({"MAIL_PORT": "x", "OPS_EMAIL": "öps@example.org"}, ["MAIL_PORT", "SUPPORT_EMAIL"]),
    ],
)
def test_a_setting_that_follows_another_is_at_fault_only_by_its_own_value(
    environment: pytest.MonkeyPatch, values: dict[str, str], names: list[str]
) -> None:
    for name, value in values.items():
        environment.setenv(name, value)
    assert sorted(fault.name for fault in config.read()[1]) == names


@pytest.mark.parametrize(("name", "values"), CONTRADICTIONS)
def test_contradictory_settings_stop_the_start(
    environment: pytest.MonkeyPatch, name: str, values: dict[str, str]
) -> None:
    error = config_error(environment, **values)
    assert error.name == name
    assert re.fullmatch(rf"{name} should be [^\n]+", str(error))


def test_every_fault_is_found_at_once(environment: pytest.MonkeyPatch) -> None:
    for name, value in {
        **PRODUCTION,
        "SECRET_KEY": "short",
        "PORT": "eighty",
        "COMMISSION_PERCENT": "ten",
        "WARN_STREAK": "4",
        "DEMO_DIR": "demo",
        # Nothing is said of what depends on a value that cannot be read.
        "ANSWER_WITHIN_HOURS": "5",
        "MIN_NOTICE_HOURS": "x",
    }.items():
        environment.setenv(name, value)
    _, faults = config.read()
    assert sorted(fault.name for fault in faults) == [
        "COMMISSION_PERCENT",
        "DEMO_DIR",
        "MIN_NOTICE_HOURS",
        "PORT",
        "SECRET_KEY",
        "WARN_STREAK",
    ]
    with pytest.raises(ConfigError) as stopped:
        config.load()
    assert str(stopped.value) == str(faults[0])


def test_readme_and_operations_name_each_setting_once_with_its_default() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", text, re.M)
    assert sorted(name for name, _ in rows) == sorted(map(str.upper, Settings.model_fields))
    documented = {name: default.strip("`") for name, default in rows}
    for name, default in DEFAULTS.items():
        assert documented[name] == str(default).lower() or documented[name] == str(default), name
