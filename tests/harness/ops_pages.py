"""What the pages for ops say, and the jobs and emails that they judge."""

from app import clock
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.store import job_stats, outbox
from app.store.job_stats import JobDelta
from app.store.models import OutboxEmail, Role
from tests.web.conftest import Visitor

NAMES = ("apply_standing", "purge", "deliver_outbox")


def failing_checks(visitor: Visitor) -> dict[str, str]:
    """The checks that do not hold and what they say; the status has to agree with them."""
    answer = visitor.get("/readyz")
    failed = {name: each["says"] for name, each in answer.json["checks"].items() if not each["ok"]}
    assert answer.status_code == (503 if failed else 200)
    assert answer.json["status"] == ("not ready" if failed else "ready")
    return failed


def assert_not_ready(visitor: Visitor, check: str, *keywords: str) -> None:
    """That check alone fails, and what it says has the keywords."""
    failed = failing_checks(visitor)
    assert set(failed) == {check}
    assert [each for each in keywords if each not in failed[check]] == [], failed[check]


def assert_says(visitor: Visitor, check: str, *keywords: str) -> None:
    """That check holds, and what it says has the keywords."""
    found = visitor.get("/readyz").json["checks"][check]
    assert found["ok"]
    assert [each for each in keywords if each not in found["says"]] == [], found["says"]


def scrape(visitor: Visitor) -> dict[str, float]:
    """Every sample of a scrape, by its name with its labels."""
    answer = visitor.get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def queue_email() -> OutboxEmail:
    return outbox.enqueue("account_alert", Role.OPS, about="a story", now=clock.now())


def beat(*names: str) -> None:
    """A heartbeat of those jobs, or of all."""
    for name in names or NAMES:
        job_stats.add(name, JobDelta(), clock.now(), 60)


def job(name: str, every_s: float = 1, patience_s: float = 0) -> Job:
    return Job(name, every_s, lambda _now: (part for part in ()), patience_s=patience_s)


def finish(monitor: JobMonitor, one: Job) -> None:
    """A run of that job ends that found nothing to do."""
    monitor.finish(one, JobResult(), took_s=0, now=clock.now(), has_failed=False)
