"""Settings: defaults, checks, and the one line that stops the start at a bad one."""

import os
import re
import shlex
import socket
import subprocess
import sys
from base64 import urlsafe_b64encode
from datetime import timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from werkzeug.datastructures import Authorization

from app import api_keys, config, config_checks
from app.api_keys import ApiKey
from app.config import Settings
from app.errors import ConfigError
from emails.addresses import sender_mailbox
from emails.message import message_id
from emails.safety import check_url
from tests.harness.waiting import PATIENCE_S

ROOT = Path(__file__).parent.parent
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
    ("API_KEYS", "shop:reed:secret"),
    ("API_KEYS", "shop:read:"),
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
]

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
]

DEFAULT_ADDRESSES = [
    ("OPS_EMAIL", ""),
    ("OPS_EMAIL", "ops@Mindsum.INVALID"),
    ("SUPPORT_EMAIL", "help@mindsum.invalid"),
    ("MAIL_DEFAULT_SENDER", ""),
    ("MAIL_DEFAULT_SENDER", "Mindsum <bookings@mindsum.invalid>"),
    ("MAIL_DEFAULT_SENDER", "bookings@invalid"),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without any setting, in a folder without a `.env` file."""
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def loaded(environment: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        environment.setenv(name, value)
    return config.load()


def config_error(environment: pytest.MonkeyPatch, **values: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(environment, **values)
    return caught.value


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
    ("values", "address"),
    [
        ({}, "ops@mindsum.invalid"),
        ({"OPS_EMAIL": "ops@example.org"}, "ops@example.org"),
        ({"OPS_EMAIL": "ops@example.org", "SUPPORT_EMAIL": " "}, "ops@example.org"),
        (
            {"OPS_EMAIL": "ops@example.org", "SUPPORT_EMAIL": "h@Bücher.example"},
            "h@xn--bcher-kva.example",
        ),
    ],
)
def test_replies_go_to_ops_unless_there_is_an_address_for_them(
    environment: pytest.MonkeyPatch, values: dict[str, str], address: str
) -> None:
    assert loaded(environment, **values).support_email == address


def test_a_reply_address_that_not_every_header_can_carry_is_refused_by_its_own_name(
    environment: pytest.MonkeyPatch,
) -> None:
    assert config_error(environment, OPS_EMAIL="öps@example.org").name == "SUPPORT_EMAIL"


@pytest.mark.parametrize(("name", "values"), CONTRADICTIONS)
def test_contradictory_settings_stop_the_start(
    environment: pytest.MonkeyPatch, name: str, values: dict[str, str]
) -> None:
    error = config_error(environment, **values)
    assert error.name == name
    assert re.fullmatch(rf"{name} should be [^\n]+", str(error))


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
    assert str(missing).startswith(f"{name} should be an address of your own, such as ")


def test_a_default_address_is_fine_outside_production(
    environment: pytest.MonkeyPatch,
) -> None:
    assert list(config_checks.missing_address(config.load())) == []


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("HTTPS://Bookings.Example.ORG", "https://bookings.example.org"),
        ("  https://bookings.example.org/ ", "https://bookings.example.org"),
        ("https://Bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://example.org:", "https://example.org"),
        ("   ", "http://127.0.0.1:8000"),
    ],
)
def test_the_sites_address_is_made_ready_for_links_and_message_ids(
    environment: pytest.MonkeyPatch, value: str, address: str
) -> None:
    settings = loaded(environment, **{**PRODUCTION, "PUBLIC_URL": value})
    assert settings.public_url == address
    assert settings.is_production == address.startswith("https")
    check_url("link", f"{address}/link/accept/token")
    assert message_id("MB-7K3QXD", "kind", "a@b.example", 1, settings.public_host)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("https://example.org/bookings", "path"),
        ("https://dee:hunter2@example.org", "user"),
        ("https://hunter2@example.org/", "user"),
        ("https://example.org?hunter2", "query"),
        ("https://example.org/#hunter2", "fragment"),
        ("https://example.org?", "query"),
        ("http://[::1]:8000", "IPv6"),
    ],
)
def test_the_sites_address_refuses_by_name_what_no_link_can_use(
    environment: pytest.MonkeyPatch, value: str, part: str
) -> None:
    error = config_error(environment, PUBLIC_URL=value)
    assert error.name == "PUBLIC_URL"
    assert f"without a {part}" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://u:hunter2@h/d?schema=public",
        "postgresql://u:hunter2%@h/d",
        "postgresql://u:hun@ter2@h/d",
        "postgresql://u:hun/ter2@h/d",
        "postgresql://u:12/hunter2@h/d",
        "postgresql://u:hunter2@h:x/d",
        "postgresql://u:hunter2@h:65536/d",
        "postgresql://u:hun ter2@h/d",
        "postgresql://u:hunter2@h/d\n",
        "postgresql+psycopg://u:hunter2@h/d",
    ],
)
def test_a_database_address_that_no_driver_can_use_stops_the_start_without_its_password(
    environment: pytest.MonkeyPatch, value: str
) -> None:
    error = config_error(environment, DATABASE_URL=value.replace("\n", "\n."))
    assert error.name == "DATABASE_URL"
    assert not re.search("hun|ter2", str(error))


@pytest.mark.parametrize(
    "file", [":memory:", "file:a.db", "a.db?mode=ro", "a.db#1", "~/a.db", "folder/", ".", "\ta.db"]
)
def test_a_file_that_is_no_database_stops_the_start(
    environment: pytest.MonkeyPatch, file: str
) -> None:
    assert config_error(environment, DATABASE_URL=f"sqlite:///{file}").name == "DATABASE_URL"


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (" sqlite:///a.db ", "sqlite:///a.db"),
        ("SQLite:////srv/a b.db", "sqlite:////srv/a b.db"),
        ("POSTGRESQL://u:p%40%25@h:5433/d ", "postgresql://u:p%40%25@h:5433/d"),
        ("postgres://u@a:1,b:2/d", "postgres://u@a:1,b:2/d"),
        ("postgresql://u@/d?host=/tmp/a%20b", "postgresql://u@/d?host=/tmp/a%20b"),
        ("", "sqlite:///var/mindsum.db"),
        (" ", "sqlite:///var/mindsum.db"),
    ],
)
def test_a_database_address_is_stripped_and_kept(
    environment: pytest.MonkeyPatch, value: str, url: str
) -> None:
    assert loaded(environment, DATABASE_URL=value).database_url == url


@pytest.mark.parametrize("key", ["a=b", "=ab", "clé", "two words", "a\x7f", "good,k=ey=", "🔑"])
def test_an_api_key_that_no_header_can_carry_stops_the_start(
    environment: pytest.MonkeyPatch, key: str
) -> None:
    error = config_error(environment, API_KEYS=key)
    assert error.name == "API_KEYS"
    assert key not in str(error)


def test_every_accepted_api_key_arrives_as_it_is(environment: pytest.MonkeyPatch) -> None:
    accepted = {
        "dGVzdA==": ApiKey(None, True, "dGVzdA=="),
        "$p:e/c~i+a.l-_!": ApiKey(None, True, "$p:e/c~i+a.l-_!"),
        "shop:read:k3y=": ApiKey("shop", False, "k3y="),
        "shop:write:k:4:y": ApiKey("shop", True, "k:4:y"),
    }
    settings = loaded(environment, API_KEYS=" , ".join(accepted))
    for key in accepted.values():
        authorization = Authorization.from_header(f"Bearer {key.secret}")
        assert authorization is not None and authorization.token == key.secret
        assert api_keys.find(key.secret, settings.api_keys) == key
    assert api_keys.find("shop:read:k3y=", settings.api_keys) is None


def test_the_site_listens_on_loopback_in_development_and_everywhere_in_production(
    environment: pytest.MonkeyPatch,
) -> None:
    assert config.load().bind_address == "127.0.0.1"
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    assert loaded(environment, **PRODUCTION).bind_address == everywhere
    for value, address in (("10.0.0.5", "10.0.0.5"), (" [::1] ", "::1"), ("0:0::1", "::1")):
        assert loaded(environment, BIND=value).bind_address == address


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


def test_blanks_around_a_value_are_left_out_except_in_a_secret(
    environment: pytest.MonkeyPatch,
) -> None:
    settings = loaded(environment, PORT=" 80 ", RATELIMIT_ENABLED="false ", DEMO_DIR=" ")
    assert (settings.port, settings.ratelimit_enabled, settings.demo_dir) == (80, False, None)
    # Sent links are signed with every character of the key.
    assert loaded(environment, SECRET_KEY=" key ").secret_key == " key "


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Mindsum: Bookings", "Mindsum: Bookings"),
        ("Mindsum: Bookings: London", "Mindsum: Bookings: London"),
        ('Mindsum: "Bookings"', "Mindsum: Bookings"),
        ('"Mindsum, Ltd"', "Mindsum, Ltd"),
        ("Mindsum (London) Ltd.", "Mindsum (London) Ltd."),
        ("", "Mindsum"),
    ],
)
def test_a_sender_keeps_every_word_of_its_name(
    environment: pytest.MonkeyPatch, typed: str, name: str
) -> None:
    settings = loaded(environment, MAIL_DEFAULT_SENDER=f"{typed} <b@m.example>")
    sender = sender_mailbox("sender", settings.mail_default_sender)
    message = EmailMessage()
    message["From"] = sender
    [read] = message_from_bytes(bytes(message), policy=policy.default)["From"].addresses
    assert read.addr_spec == "b@m.example"
    assert re.sub("[()]", "", read.display_name) == re.sub("[()]", "", name)


@pytest.mark.parametrize("name", ["SECRET_KEY", "NOTES_KEY", "DATABASE_URL"])
def test_the_error_line_never_repeats_a_secret(environment: pytest.MonkeyPatch, name: str) -> None:
    error = config_error(environment, **{**PRODUCTION, name: "hunter2"})
    assert error.name == name
    assert "hunter2" not in str(error)


def test_hours_and_percentages_may_be_decimals(environment: pytest.MonkeyPatch) -> None:
    policy = loaded(environment, ANSWER_WITHIN_HOURS="2.5", COMMISSION_PERCENT="12.5").policy
    assert policy.answer_within == timedelta(hours=2, minutes=30)
    assert policy.commission_percent == Decimal("12.5")


def test_lists_are_split_at_commas(environment: pytest.MonkeyPatch) -> None:
    settings = loaded(environment, SECRET_KEY_FALLBACKS="newer, older,", API_KEYS="a,b")
    assert settings.secret_key_fallbacks == ("newer", "older")
    assert settings.api_keys == ("a", "b")


def test_an_empty_variable_means_the_default(environment: pytest.MonkeyPatch) -> None:
    assert loaded(environment, PORT="", CURRENCY="").port == 8000


def test_the_environment_overrides_the_env_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nCURRENCY=EUR\nANOTHER_PROGRAM=1\n")
    environment.chdir(tmp_path)
    settings = loaded(environment, PORT="9100")
    assert (settings.port, settings.currency) == (9100, "EUR")
    assert loaded(environment, CURRENCY="").currency == "GBP"
    (tmp_path / ".env").write_text("MAIL_TIMEOUT=ninety")
    assert config_error(environment).name == "MAIL_TIMEOUT"


def test_values_in_the_env_file_are_taken_literally(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "MAIL_PASSWORD=ab#cd${HOME}\nMAIL_DEFAULT_SENDER=Mindsum Bookings <b@example.org>\n"
        "API_KEYS=a,b\nOPS_EMAIL=\n"
    )
    environment.chdir(tmp_path)
    settings = loaded(environment)
    assert settings.mail_password == "ab#cd${HOME}"
    assert settings.mail_default_sender == "Mindsum Bookings <b@example.org>"
    assert (settings.api_keys, settings.ops_email) == (("a", "b"), "ops@mindsum.invalid")


def test_an_env_file_that_is_not_text_stops_the_start(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    environment.chdir(tmp_path)
    assert str(config_error(environment)) == ".env should be a text file that can be read"


@pytest.mark.process
@pytest.mark.parametrize(
    ("process", "arguments"),
    [
        ("web", ["-m", "app.serve"]),
        ("scheduler", ["scheduler.py"]),
        ("scheduler", ["scheduler.py", "--once"]),
        ("mindsum", ["-c", "from app.cli import main; main()", "booking", "list"]),
        ("mindsum", ["-c", "from app.cli import main; main()", "db", "upgrade"]),
    ],
)
def test_every_process_prints_one_line_for_a_bad_setting_and_exits_with_2(
    process: str, arguments: list[str]
) -> None:
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "COMMISSION_PERCENT": "ten"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 2
    assert ran.stderr == (
        f"{process}: COMMISSION_PERCENT should be a percentage from 0 to 100, not 'ten'\n"
    )
    assert ran.stdout == ""


def test_the_readme_names_exactly_the_settings_and_their_defaults() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", (ROOT / "README.md").read_text(), re.M)
    assert sorted(name for name, _ in rows) == sorted(map(str.upper, Settings.model_fields))
    documented = {name: default.strip("`") for name, default in rows}
    for name, default in DEFAULTS.items():
        assert documented[name] == str(default).lower() or documented[name] == str(default), name


def test_commands_in_emails_work_where_they_are_read(environment: pytest.MonkeyPatch) -> None:
    assert config.load().command == "mindsum"
    shown = loaded(environment, DEMO_DIR="/tmp/a demo", DATABASE_URL="sqlite:////tmp/a demo/m.db")
    env, url, folder, program = shlex.split(shown.command)
    assert (env, url) == ("env", "DATABASE_URL=sqlite:////tmp/a demo/m.db")
    assert folder == "DEMO_DIR=/tmp/a demo"
    assert Path(program).name == "mindsum" and Path(program).is_file()
