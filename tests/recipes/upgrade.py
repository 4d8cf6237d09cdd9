"""The last release's database under today's processes: its bookings, links and queued emails."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.store.db import database
from tests.harness.postgresql_server import own_server
from tests.harness.smtp_server import LOOPBACK, MailServer, unused_port
from tests.harness.waiting import until
from tests.recipes.job import Browser
from tests.recipes.running import Place, local
from tests.scenarios import fixed_life, last_release


def on_sqlite(folder: Path, programs: Path) -> None:
    (folder / "mindsum.db").touch()
    _play(f"sqlite:///{folder / 'mindsum.db'}", folder, programs)


def on_postgresql(folder: Path, programs: Path) -> None:
    with own_server() as server:
        _play(server.url, folder, programs)


def _play(url: str, folder: Path, programs: Path) -> None:
    last_release.restore(url)
    database.release()
    # All processes go on at the moment at which that release stopped.
    ahead = last_release.THEN - datetime.now(UTC)
    (folder / "clock").write_text(str(ahead // timedelta(seconds=1)))
    port = unused_port()
    with MailServer() as mail:
        kept = {
            "DATABASE_URL": url,
            "DEMO_DIR": str(folder),
            "PUBLIC_URL": fixed_life.PUBLIC_URL,
            "SECRET_KEY": fixed_life.SECRET_KEY,
            "NOTES_KEY": fixed_life.NOTES_KEY,
        }
        place = Place(folder, programs, local(port, mail.port) | kept)
        place.run(["mindsum", "db", "upgrade"])
        with place.started(["python", "-m", "app.serve"], ["python", "-m", "scheduler"]):
            _press_old_links(Browser(f"http://{LOOPBACK}:{port}"), mail)
        place.run(["mindsum", "replay"])


def _press_old_links(browser: Browser, mail: MailServer) -> None:
    def sent(name: str) -> set[str]:
        return {str(each.parsed[name]) for each in mail.messages}

    def confirmed() -> set[str]:
        accepted = (each for each in mail.messages if each.kind == "booking_accepted")
        return {str(each.parsed["X-Mindsum-Booking"]) for each in accepted}

    until("the site to answer", lambda: browser.get("/healthz"))
    queued = set(last_release.LINKS["queued"].values())
    until("what was queued to leave", lambda: sent("Message-ID"), lambda seen: queued <= seen)
    links, made = last_release.LINKS["links"], last_release.LINKS["made"]
    for path in links.values():
        browser.get(path)
    assert not confirmed(), "opening a link accepted a booking"
    for part in ("open", "late"):
        browser.press_at(links[f"{part} accept"])
    until("both clients to be told", confirmed, lambda seen: seen == {made["open"], made["late"]})
