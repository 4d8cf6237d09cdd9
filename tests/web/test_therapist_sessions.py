"""Sessions of therapists: how long each lasts, what ends it, and what its cookies hold."""

from collections.abc import Callable
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import clock, config, create_app
from app.cli import run
from app.errors import StoreUnavailable
from app.services import auth, sessions
from app.services.jobs import due
from app.services.therapists import accounts
from app.store.models import Booking, SignIn, SignInSession, Therapist
from app.web import browsers
from tests.harness.page_stories import HOUR, all_rows, ask, forms, link, press, sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import MONDAY, Cast
from tests.scenarios.story import total
from tests.web.conftest import Visitor, another_visitor, counted_queries

on_both = pytest.mark.both_databases

ASHA, BRAN = "asha@therapists.example", "bran@therapists.example"
COOKIE, ADDRESS = "mindsum-session", "mindsum-address"
PROFILE = "/dashboard/profile"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0"


@pytest.fixture
def signed(app: Flask, mail: MailServer, cast: Cast) -> Callable[..., Visitor]:
    """`signed(email, visitor=None, **typed)`: somebody who pressed Sign In."""

    def sign(email: str = ASHA, visitor: Visitor | None = None, **typed: str) -> Visitor:
        visitor = visitor or another_visitor(app)
        visitor.post("/sign-in", data={"email": email})
        press(visitor, link(app, mail, "sign_in", "Sign In"), **typed)
        return visitor

    return sign


def copy_of(app: Flask, visitor: Visitor) -> Visitor:
    """A thief with the visitor's cookies."""
    thief = another_visitor(app)
    for name in (COOKIE, "mindsum"):
        cookie = visitor.get_cookie(name)
        assert cookie is not None
        thief.set_cookie(name, cookie.value)
    return thief


def is_in(visitor: Visitor) -> bool:
    answer = visitor.get("/dashboard")
    assert answer.status_code in (200, 302)
    return answer.status_code == 200


def set_cookies(answer: TestResponse) -> dict[str, Any]:
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.getlist("Set-Cookie"):
        jar.load(line)
    return dict(jar)


@on_both
@pytest.mark.parametrize(
    ("keep", "visits", "lasts"),
    [
        ("", [12 * HOUR - MINUTE], True),
        ("", [12 * HOUR], False),
        ("", [11 * HOUR, 22 * HOUR, 33 * HOUR], True),
        ("yes", [14 * DAY - MINUTE], True),
        ("yes", [14 * DAY], False),
        ("yes", [13 * DAY * number for number in range(1, 5)] + [60 * DAY - MINUTE], True),
        ("yes", [13 * DAY * number for number in range(1, 5)] + [60 * DAY], False),
    ],
)
def test_a_session_lasts_twelve_idle_hours_or_where_kept_fourteen_days_and_sixty_at_most(
    keep: str, visits: list[timedelta], lasts: bool, app: Flask, signed: Any, at: Any
) -> None:
    visitor = signed(keep=keep) if keep else signed()
    thief = copy_of(app, visitor)
    *before, last = visits
    for visit in before:
        at(MONDAY + visit)
        assert is_in(visitor)
    at(MONDAY + last)
    assert is_in(thief) is lasts
    assert is_in(visitor) is lasts


@on_both
@pytest.mark.parametrize(
    "end",
    [
        lambda _, visitor: press(visitor, "/dashboard", "/sign-out"),
        lambda _, visitor: press(visitor, PROFILE, "/sign-out-everywhere"),
        lambda _, visitor: press(visitor, PROFILE, "/sign-out-one"),
        lambda app, _: run(["therapist", "sign-out", "asha"], create=lambda: app),
        lambda app, _: run(["therapist", "sign-out", "--all"], create=lambda: app),
        lambda *_: accounts.change_address("asha", "asha@elsewhere.example", clock.now()),
        lambda *_: Therapist.get(slug="asha").delete_instance(),
    ],
    ids=["sign out", "everywhere", "one", "ops", "ops, all", "new address", "account gone"],
)
def test_a_copied_cookie_opens_nothing_once_the_session_has_ended(
    end: Callable[[Flask, Visitor], object], app: Flask, signed: Any
) -> None:
    visitor = signed()
    thief = copy_of(app, visitor)
    assert is_in(thief)
    end(app, visitor)
    for path in ("/dashboard", PROFILE, "/dashboard/sessions.csv"):
        assert thief.get(path).status_code == 302
        assert visitor.get(path).status_code == 302


def test_signing_out_ends_this_session_and_no_other(app: Flask, signed: Any) -> None:
    asha, also_asha, bran = signed(), signed(), signed(BRAN)
    answer = press(asha, "/dashboard", "/sign-out", follow=False)
    assert set_cookies(answer)[COOKIE].value == ""
    assert [is_in(each) for each in (asha, also_asha, bran)] == [False, True, True]
    press(also_asha, PROFILE, "/sign-out-everywhere")
    assert [is_in(each) for each in (also_asha, bran)] == [False, True]


def test_letter_case_of_the_address_ends_nothing(signed: Any) -> None:
    visitor = signed()
    accounts.change_address("asha", ASHA.upper(), clock.now())
    assert is_in(visitor)


def test_profile_settings_list_the_sessions_and_end_one(app: Flask, signed: Any, at: Any) -> None:
    phone = signed()
    at(MONDAY + HOUR)
    visitor = another_visitor(app)
    visitor.environ_base["HTTP_USER_AGENT"] = FIREFOX
    signed(visitor=visitor, keep="yes")
    signed(BRAN)
    page = visitor.get(PROFILE)
    said = " ".join(page.text[page.text.index('id="signed-in"') :].split())
    assert said.index("Firefox on Windows") < said.index("This one") < said.index("A browser<")
    assert "Mon 2 Nov 2026, 09:00" in said and "Mon 2 Nov 2026, 10:00" in said
    one, other = [each for each in forms(page) if each.action.endswith("/sign-out-one")]
    assert (
        "Signed out there."
        in visitor.post(other.action, data=other.fields, follow_redirects=True).text
    )
    assert (is_in(visitor), is_in(phone)) == (True, False)
    assert visitor.post(other.action, data=other.fields).status_code == 404
    assert visitor.post(one.action, data=one.fields).location == "/sign-in"
    assert not is_in(visitor)


def test_another_therapists_session_cannot_be_ended(signed: Any) -> None:
    asha, bran = signed(), signed(BRAN)
    theirs = SignInSession.select().join(Therapist).where(Therapist.slug == "asha").get()
    [form, *_] = [e for e in forms(bran.get(PROFILE)) if e.action.endswith("/sign-out-one")]
    for chosen in (str(theirs.id), "", "x", "0", "9" * 30):
        assert bran.post(form.action, data={**form.fields, "id": chosen}).status_code == 404
    assert is_in(asha)


def test_the_cookie_holds_a_random_value_of_which_the_database_has_the_hash_alone(
    app: Flask, mail: MailServer, signed: Any
) -> None:
    secrets = [signed().get_cookie(COOKIE).value for _ in range(2)]
    assert len(set(secrets)) == 2 and min(map(len, secrets)) >= 43
    rows = str(all_rows())
    assert not [secret for secret in secrets if secret in rows]
    assert sessions.find(SignInSession.get().secret_hash, clock.now()) is None


@pytest.mark.parametrize("planted", ["", "x", "'", "é", "x" * 5000, "a b"])
def test_a_cookie_of_any_other_value_signs_in_as_no_one(
    planted: str, app: Flask, signed: Any
) -> None:
    signed()
    visitor = another_visitor(app)
    answer = visitor.get("/dashboard", headers={"Cookie": f"{COOKIE}={planted}"})
    assert answer.status_code == 302


def test_a_planted_session_is_not_taken_over_by_signing_in(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    visitor.set_cookie(COOKIE, "planted-by-somebody-else")
    sign_in(app, mail, visitor, ASHA)
    assert visitor.get_cookie(COOKIE).value != "planted-by-somebody-else"


@on_both
def test_signing_in_again_ends_the_session_that_this_browser_had(app: Flask, signed: Any) -> None:
    visitor = signed()
    thief = copy_of(app, visitor)
    signed(visitor=visitor)
    assert (is_in(visitor), is_in(thief)) == (True, False)


@pytest.mark.parametrize(("url", "prefix"), [("http", ""), ("https", "__Host-")])
@pytest.mark.parametrize("keep", ["", "yes"])
def test_cookies_are_for_this_host_alone_and_out_of_reach_of_scripts(
    url: str, prefix: str, keep: str, app: Flask, mail: MailServer, cast: Cast
) -> None:
    settings = config.current()
    site = create_app(settings.model_copy(update={"public_url": f"{url}://mindsum.test"}))
    try:
        visitor = another_visitor(site)
        auth.request_sign_in(ASHA, "", clock.now())
        path = link(app, mail, "sign_in", "Sign In")
        answer = visitor.post(path, base_url=f"{url}://mindsum.test", data={"keep": keep})
    finally:
        create_app(settings)
    sent = set_cookies(answer)
    assert {f"{prefix}{COOKIE}", f"{prefix}{ADDRESS}"} <= set(sent)
    for name, each in sent.items():
        assert (each["httponly"], each["samesite"], each["path"]) == (True, "Lax", "/"), name
        assert (each["domain"], bool(each["secure"])) == ("", url == "https"), name
    lasts = sent[f"{prefix}{COOKIE}"]["max-age"]
    assert lasts == (str(60 * 24 * 3600) if keep else "")


@on_both
def test_older_sign_in_links_end_when_one_is_used_and_newer_ones_do_not(
    app: Flask, mail: MailServer, cast: Cast, at: Any
) -> None:
    paths = []
    for _ in range(3):
        auth.request_sign_in(ASHA, "", clock.now())
        paths.append(link(app, mail, "sign_in", "Sign In"))
        at(clock.now() + timedelta(minutes=1))
    auth.request_sign_in(BRAN, "", clock.now())
    brans = link(app, mail, "sign_in", "Sign In")

    def status(path: str) -> int:
        return another_visitor(app).get(path).status_code

    press(another_visitor(app), paths[1])
    assert [status(each) for each in (*paths, brans)] == [410, 410, 200, 200]


def test_signing_out_everywhere_ends_the_links_that_were_not_used(
    app: Flask, mail: MailServer, cast: Cast
) -> None:
    for who, status in (("asha", 410), ("bran", 200)):
        auth.request_sign_in(ASHA, "", clock.now())
        path = link(app, mail, "sign_in", "Sign In")
        assert run(["therapist", "sign-out", who], create=lambda: app) == 0
        assert another_visitor(app).get(path).status_code == status


def test_a_deactivated_therapist_can_sign_in_and_see_to_their_sessions(
    app: Flask, signed: Any
) -> None:
    booking = ask()
    Therapist.update(deactivated_at=clock.now()).where(Therapist.slug == "asha").execute()
    page = signed().get(f"/dashboard/sessions/{booking.reference}")
    assert page.status_code == 200
    assert "deactivated" in page.text


def test_over_another_therapists_session_the_page_asks_first_and_keeps_the_link(
    app: Flask, mail: MailServer, signed: Any
) -> None:
    visitor = signed(BRAN)
    brans = copy_of(app, visitor)
    auth.request_sign_in(ASHA, "", clock.now())
    path = link(app, mail, "sign_in", "Sign In")
    rows = all_rows()
    for answer in (
        visitor.get(path),
        visitor.post(path),
        visitor.post(path, data={"instead_of": "asha", "keep": "yes"}),
    ):
        assert answer.status_code == 200
        assert "Bran Cole is signed in" in answer.text
        assert forms(answer)[0].fields["instead_of"] == "bran"
    assert forms(answer)[0].fields["keep"] == "yes"
    assert all_rows() == rows and is_in(visitor)

    done = press(visitor, path)
    assert "Hello Asha" in done.text
    assert not is_in(brans)


@pytest.mark.parametrize(
    ("sent_by", "acts"),
    [("same-origin", True), ("none", True), ("cross-site", False), ("same-site", False)],
)
def test_a_form_of_another_site_signs_its_visitors_in_to_no_account(
    sent_by: str, acts: bool, app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    auth.request_sign_in(ASHA, "", clock.now())
    path = link(app, mail, "sign_in", "Sign In")
    answer = visitor.post(path, headers={"Sec-Fetch-Site": sent_by})
    assert is_in(visitor) is acts
    if not acts:
        assert (answer.status_code, COOKIE in set_cookies(answer)) == (200, False)
        press(visitor, path)
        assert is_in(visitor)


def test_the_sign_in_page_knows_the_address_again_after_a_real_sign_in(
    app: Flask, mail: MailServer, signed: Any
) -> None:
    visitor = another_visitor(app)
    visitor.post("/sign-in", data={"email": ASHA})
    assert forms(visitor.get("/sign-in"))[0].fields["email"] == ""
    press(visitor, link(app, mail, "sign_in", "Sign In"))
    assert ASHA not in str(visitor.get_cookie(ADDRESS))
    press(visitor, "/dashboard", "/sign-out")
    again = visitor.get("/sign-in")
    assert forms(again)[0].fields["email"] == ASHA
    assert forms(another_visitor(app).get("/sign-in"))[0].fields["email"] == ""

    forgotten = visitor.post("/sign-in", data={"email": ASHA, "forget": "yes"})
    assert forms(forgotten)[0].fields["email"] == ""
    assert forms(visitor.get("/sign-in"))[0].fields["email"] == ""


@pytest.mark.parametrize("planted", ["eve@evil.example", "gAAAAA", "é", "", "x" * 5000])
def test_no_other_site_can_plant_an_address(planted: str, cast: Cast, visitor: Visitor) -> None:
    page = visitor.get("/sign-in", headers={"Cookie": f"{ADDRESS}={planted}"})
    assert page.status_code == 200
    assert forms(page)[0].fields["email"] == ""


def test_pages_behind_sign_in_are_stored_nowhere(app: Flask, signed: Any) -> None:
    booking, visitor = ask(), signed()
    for path in ("/dashboard", PROFILE, "/dashboard/sessions", "/dashboard/sessions.csv",
                 "/dashboard/earnings", f"/dashboard/sessions/{booking.reference}"):  # fmt: skip
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


@on_both
def test_the_last_use_is_written_at_most_every_three_minutes(signed: Any, at: Any) -> None:
    visitor = signed()
    writes = []
    for seconds in range(0, 600, 30):
        at(MONDAY + timedelta(seconds=seconds))
        with counted_queries() as seen:
            assert is_in(visitor)
        writes += [each for each in seen if each.startswith("UPDATE")]
    assert len(writes) == 3
    assert SignInSession.get().last_seen_at == MONDAY + timedelta(minutes=9)


def test_a_page_is_shown_while_its_use_cannot_be_written(
    signed: Any, at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailable("disk full")

    visitor = signed()
    at(MONDAY + HOUR)
    monkeypatch.setattr(sessions, "_set_last_seen", full)
    assert is_in(visitor)


@on_both
def test_purge_removes_the_sessions_that_are_over(app: Flask, signed: Any, at: Any) -> None:
    signed()
    lasting = signed(keep="yes")
    press(signed(BRAN, keep="yes"), "/dashboard", "/sign-out")
    total(due.purge(clock.now()))
    assert SignInSession.select().count() == 2
    at(MONDAY + 12 * HOUR)
    total(due.purge(clock.now()))
    assert is_in(lasting)
    assert SignInSession.select().count() == 1


@on_both
def test_what_is_over_is_so_for_the_purge_and_for_the_page(signed: Any, at: Any) -> None:
    for keep in ("", "yes"):
        signed(keep=keep)
    for session in SignInSession.select():
        for moment in (session.expires_at - timedelta(microseconds=1), session.expires_at):
            over = sessions.queries.sessions_over(moment)
            found = SignInSession.select().where(SignInSession.id == session.id, over)
            assert found.exists() is session.is_over_at(moment)


@pytest.mark.parametrize("words", [["therapist", "sign-out"], ["therapist", "sign-out", "zoe"],
                                   ["therapist", "sign-out", "asha", "--all"]])  # fmt: skip
def test_signing_out_no_therapist_that_we_know_is_a_mistake(
    words: list[str], app: Flask, cast: Cast, signed: Any
) -> None:
    visitor = signed()
    assert run(words, create=lambda: app) == 2
    assert is_in(visitor)


def test_ops_read_how_many_sessions_ended(
    app: Flask, signed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        signed()
    capsys.readouterr()
    assert run(["therapist", "sign-out", "asha", "--json"], create=lambda: app) == 0
    assert capsys.readouterr().out == '{"slug": "asha", "ended": 2}\n'


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
         " Version/18.5 Safari/605.1.15", "Safari on Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
         " Gecko) CriOS/138.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
         " Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko)"
         " SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537.36", "Samsung Internet on Android"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko)"
         " Chrome/140.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
        ("curl/8.5.0", "A browser"),
        ("<script>alert(1)</script>" * 100, "A browser"),
        ("", "A browser"),
    ],
)  # fmt: skip
def test_a_browser_is_kept_in_coarse_words(user_agent: str, name: str) -> None:
    assert browsers.describe(user_agent) == name


@on_both
def test_a_sign_in_that_lost_the_race_with_a_new_address_opens_nothing(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    auth.request_sign_in(ASHA, "", clock.now())
    path = link(app, mail, "sign_in", "Sign In")
    accounts.change_address("asha", "asha@elsewhere.example", clock.now())
    assert visitor.post(path).status_code == 410
    assert not is_in(visitor)
    assert SignIn.get().used_at == clock.now()
    assert not Booking.select().exists()
