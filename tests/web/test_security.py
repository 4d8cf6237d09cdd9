"""Headers, cookies, rate limits and tokens of pages, links and API."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, request, url_for

from app import clock, config, create_app
from app.links import LinkPurpose, mint
from app.services import auth
from app.store.models import SignIn
from app.web.security import LINK_LIMIT, PUBLIC_FORM_LIMIT, SIGN_IN_LIMIT, limiter
from tests.harness.every import for_every
from tests.harness.smtp_server import unused_port
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor, another_visitor

# None of this depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TEMPLATES = Path(__file__).parents[2] / "app" / "templates"
ASHA = "/therapists/asha"
PAGES = (
    "/", ASHA, f"{ASHA}/requested", "/nope", "/my-links", "/sign-in", "/dashboard", "/ops",
    "/ops/sign-in",
)  # fmt: skip
LINKS = tuple(f"/link/{purpose}/cut" for purpose in LinkPurpose)
MACHINES = ("/healthz", "/readyz", "/metrics", "/api/openapi.json", "/api/v1/therapists")
FILES = ("/static/theme.css", "/static/bootstrap.min.css", "/photos/small/x.webp")
EMAILS_THE_OWNER = ("/my-links", "/sign-in")
"""Forms that send an email to the owner of an address, whichever browser requests it."""
COOKIELESS = ("accept", "decline", "manage", "choose")


@pytest.mark.parametrize("path", [*PAGES, *LINKS, *MACHINES, *FILES])
def test_every_answer_is_locked_down(cast: Cast, visitor: Visitor, path: str) -> None:
    headers = visitor.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    # Which scripts a page allows is held by test_scripts.py.
    assert re.fullmatch(r"(?:'sha256-[\w+/]{43}=' ?)*", policy.get("script-src", ""))
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == ("no-referrer" if path in LINKS else "same-origin")
    assert "Strict-Transport-Security" not in headers
    assert "mindsum" not in headers.get("Server", "")


@pytest.mark.parametrize("path", [*LINKS, *PAGES[3:]])
def test_pages_for_one_reader_are_neither_stored_nor_indexed(
    cast: Cast, visitor: Visitor, path: str
) -> None:
    headers = visitor.get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Robots-Tag"] == "noindex"


@pytest.mark.parametrize("path", ["/", ASHA])
def test_search_engines_may_find_therapists(cast: Cast, visitor: Visitor, path: str) -> None:
    assert "X-Robots-Tag" not in visitor.get(path).headers


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("purpose", COOKIELESS)
def test_link_pages_neither_set_nor_read_a_cookie(
    app: Flask, cast: Cast, visitor: Visitor, purpose: str, method: str
) -> None:
    visitor.get(ASHA)
    token = mint(LinkPurpose(purpose), holder="t1", subject="MB-222222")
    for path in (f"/link/{purpose}/{token}", f"/link/{purpose}/cut"):
        answer = getattr(visitor, method)(path)
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    cast: Cast, visitor: Visitor
) -> None:
    cookie = visitor.get(ASHA).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_every_post_that_acts_for_whoever_is_signed_in_needs_a_csrf_token(
    app: Flask, cast: Cast, visitor: Visitor
) -> None:
    auth.request_sign_in("asha@therapists.example", "", clock.now())
    token = mint(LinkPurpose.SIGN_IN, holder=f"t{cast.asha.id}", subject=SignIn.get().key)
    assert visitor.post(f"/link/sign-in/{token}").status_code == 303
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if "POST" in rule.methods
        # tests/web/ops/test_sign_in.py tells of those of the ops desk.
        and not rule.rule.startswith(("/link/", "/api/", "/ops/"))
        and rule.rule not in EMAILS_THE_OWNER
    ]
    assert len(rules) > 5
    filling = {"slug": "asha", "reference": "MB-222222"}
    for rule in rules:
        with app.test_request_context():
            path = url_for(rule.endpoint, **{name: filling.get(name, 1) for name in rule.arguments})
        assert visitor.post(path, data={"name": "Asha"}).status_code == 400, path
    assert visitor.get("/dashboard").status_code == 200


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        (ASHA, PUBLIC_FORM_LIMIT),
        ("/sign-in", SIGN_IN_LIMIT),
        ("/my-links", SIGN_IN_LIMIT),
        ("/ops/sign-in", SIGN_IN_LIMIT),
        ("/link/accept/cut", LINK_LIMIT),
    ],
)
def test_too_many_posts_in_a_minute_are_paused_with_a_page(
    cast: Cast, at: object, limited: Visitor, path: str, limit: str
) -> None:
    most = int(limit.split()[0])
    assert 429 not in {limited.post(path).status_code for _ in range(most)}
    answer = limited.post(path)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 61
    assert "slow down" in answer.text


def test_looking_at_a_therapist_is_not_limited(cast: Cast, limited: Visitor) -> None:
    most = int(PUBLIC_FORM_LIMIT.split()[0])
    assert {limited.get(ASHA).status_code for _ in range(most + 1)} == {200}


@pytest.fixture
def production(app: Flask) -> Iterator[Flask]:
    """The same site behind a proxy that speaks https."""
    settings = config.current()
    changes = {
        "public_url": "https://mindsum.test",
        "ratelimit_enabled": True,
        "trusted_proxies": 1,
    }
    yield create_app(settings.model_copy(update=changes))
    create_app(settings)


def test_in_production_browsers_are_kept_on_https(cast: Cast, production: Flask) -> None:
    answer = another_visitor(production).get(ASHA)
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert "Secure" in answer.headers["Set-Cookie"]


def test_in_production_the_proxy_says_who_calls(cast: Cast, production: Flask) -> None:
    visitor = another_visitor(production)
    most = int(SIGN_IN_LIMIT.split()[0])

    def post_from(address: str) -> int:
        return visitor.post("/my-links", headers={"X-Forwarded-For": address}).status_code

    assert 429 not in {post_from("198.51.100.7") for _ in range(most)}
    assert post_from("198.51.100.7") == 429
    # What a caller claims before the door's own word does not count.
    assert post_from("203.0.113.9, 198.51.100.7") == 429
    assert post_from("198.51.100.8") != 429


def test_while_redis_cannot_be_reached_each_process_counts_for_itself(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once it has met a dead storage, the limiter of this process would count apart in other tests.
    monkeypatch.setattr(limiter, "_storage_dead", False)
    settings = config.current()
    away = {
        "ratelimit_enabled": True,
        "ratelimit_storage_uri": f"redis://127.0.0.1:{unused_port()}",
    }
    try:
        visitor = another_visitor(create_app(settings.model_copy(update=away)))
        most = int(SIGN_IN_LIMIT.split()[0])
        statuses = [visitor.post("/my-links").status_code for _ in range(most + 1)]
    finally:
        create_app(settings)
    assert statuses == [422] * most + [429]


def test_without_a_proxy_in_front_no_client_can_claim_another_address(
    cast: Cast, limited: Visitor
) -> None:
    for number in range(int(SIGN_IN_LIMIT.split()[0])):
        limited.post("/my-links", headers={"X-Forwarded-For": f"198.51.100.{number}"})
    assert limited.post("/my-links", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 429


def test_a_strangers_host_header_is_never_repeated(cast: Cast, visitor: Visitor) -> None:
    for path in (*PAGES, *LINKS):
        answer = visitor.get(path, headers={"Host": "evil.example"})
        assert "evil.example" not in answer.text + str(answer.headers)


def test_an_address_with_doubled_slashes_is_no_other_spelling_of_a_page(
    cast: Cast, visitor: Visitor
) -> None:
    for path in ("//my-links", "///", "/therapists//asha", "//evil.example/my-links"):
        answer = visitor.open(path="/", environ_overrides={"PATH_INFO": path})
        assert (answer.status_code, answer.location) == (404, None), path


@for_every(
    ["9" * 400, f"{'a.' * 200}example", "é.example", "a b", "::1", "", "a.example:http", "<"]
)
def test_a_host_that_is_none_gets_the_same_page(host: str, cast: Cast, visitor: Visitor) -> None:
    for path in ("/", "/nowhere"):
        answer = visitor.get(path, headers={"Host": host})
        assert answer.status_code == visitor.get(path).status_code


@for_every(sorted(TEMPLATES.rglob("*.html")))
def test_no_template_has_a_script_or_an_inline_style(path: Path, database_url: str) -> None:
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", path.read_text())


def test_a_visitor_over_ipv4_has_one_address_on_every_socket(app: Flask) -> None:
    seen = []
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"):
        with app.test_client() as visitor:
            visitor.get("/healthz", environ_base={"REMOTE_ADDR": address})
            seen.append(request.remote_addr)
    assert seen == ["192.0.2.1", "192.0.2.1", "2001:db8::1"]
