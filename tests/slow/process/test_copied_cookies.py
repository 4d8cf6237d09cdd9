"""A copied cookie opens nothing once its session has ended, whichever worker is asked."""

import http.client
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from tests.harness.processes import Site
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.cast import therapist

ASHA = "asha@therapists.example"
REQUESTS = runs(20, 200)
"""So many that each of two workers is asked."""


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Site:
    """A site with Asha; no process runs yet."""
    therapist("Asha Rao", "Europe/London")
    return Site(database_url, tmp_path, mail)


def send(
    site: Site, method: str, path: str, cookies: str = "", form: str = ""
) -> tuple[int, str, str]:
    """One request; the status, the cookies to send from now on, and the text."""
    headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection(LOOPBACK, site.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, form, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    jar = dict(each.split("=", 1) for each in cookies.split("; ") if each)
    for line in answer.headers.get_all("Set-Cookie") or []:
        name, _, value = line.partition(";")[0].partition("=")
        jar[name] = value
    return answer.status, "; ".join(f"{name}={value}" for name, value in jar.items()), text


def sign_in(site: Site) -> str:
    """The cookies of a browser in which Asha has just signed in."""
    before = len(site.emails("sign_in"))
    assert send(site, "POST", "/sign-in", form=f"email={ASHA}")[0] == 200
    emails = until(
        "the Sign In link", lambda: site.emails("sign_in"), lambda all_: len(all_) > before
    )
    status, cookies, _ = send(site, "POST", site.link(emails[-1], "sign-in"))
    assert status == 303
    return cookies


def statuses(site: Site, cookies: str) -> set[int]:
    return {send(site, "GET", "/dashboard", cookies)[0] for _ in range(REQUESTS)}


def sign_out(site: Site, cookies: str) -> None:
    _, cookies, page = send(site, "GET", "/dashboard/profile", cookies)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    assert send(site, "POST", "/sign-out", cookies, f"csrf_token={token[1]}")[0] == 303


ENDS: dict[str, Callable[[Site, str], object]] = {
    "signed out": sign_out,
    "signed out by ops": lambda site, _: site.mindsum("therapist", "sign-out", "asha"),
    "12 hours idle": lambda site, _: site.pass_time(timedelta(hours=12)),
    "address changed": lambda site, _: site.mindsum(
        "therapist", "address", "asha", "asha@elsewhere.example"
    ),
}


def test_a_copied_cookie_opens_nothing_once_its_session_has_ended(site: Site) -> None:
    with site.running():
        for ended, end in ENDS.items():
            cookies = sign_in(site)
            assert statuses(site, cookies) == {200}, ended
            end(site, cookies)
            assert statuses(site, cookies) == {302}, ended
