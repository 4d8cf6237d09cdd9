"""The figures as Prometheus reads them: asked for at each scrape, so all processes agree."""

from collections.abc import Iterator

import peewee
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from app import clock
from app.errors import StoreUnavailable
from app.services.ops import health
from app.services.ops.health import Metrics
from app.store.db import database
from app.store.models import JobStatistics

_LEVELS = {
    "enquiries_open": "Enquiries that nobody has answered yet",
    "enquiries_overdue": "Enquiries past their expiry that the scheduler has not ended yet",
    "outbox_due": "Emails that could be sent now",
    "outbox_held": "Whether ops keeps the outbox from sending",
    "outbox_oldest_due_age_seconds": "How long ago the longest-waiting email was written",
    "scheduler_heartbeat_age_seconds": "How long ago a scheduler was last alive",
}


class StoredFigures(Collector):
    """What the database holds; that it does not answer, or is not upgraded, is a figure too."""

    def collect(self) -> Iterator[Metric]:
        """Whether the database answers and its schema is current, then all figures."""
        is_up, found = True, None
        try:
            with database.snapshot():
                found = health.collect_metrics(clock.now())
        except (StoreUnavailable, peewee.DatabaseError, peewee.InterfaceError):
            is_up = False
        yield _gauge("database_up", "Whether the database answers", float(is_up))
        if is_up:
            current = float(found is not None)
            yield _gauge("schema_current", "Whether the schema is that of the code", current)
        if found is not None:
            yield from _stored(found)


def _stored(found: Metrics) -> Iterator[Metric]:
    for name, value in found.levels.items():
        yield _gauge(name, _LEVELS[name], value)
    emails = GaugeMetricFamily(
        "mindsum_outbox_emails", "Emails in the outbox, by state", labels=("status",)
    )
    for status, count in found.emails.items():
        emails.add_metric((status,), count)
    yield emails
    outcomes = CounterMetricFamily(
        "mindsum_deliveries", "Attempts to deliver an email, by outcome", labels=("outcome",)
    )
    for outcome, count in found.outcomes.items():
        outcomes.add_metric((outcome,), count)
    yield outcomes
    moves = CounterMetricFamily(
        "mindsum_moves", "Lines of timelines, by kind and door", labels=("kind", "via")
    )
    for kind, via, count in found.moves:
        moves.add_metric((kind, via), count)
    yield moves
    yield from _of_jobs(found.jobs)


def _of_jobs(jobs: list[JobStatistics]) -> Iterator[Metric]:
    runs = CounterMetricFamily("mindsum_job_runs", "Runs of a job", labels=("job", "result"))
    things = CounterMetricFamily(
        "mindsum_job_things", "What was due in a job, by how it went", labels=("job", "result")
    )
    took = SummaryMetricFamily(
        "mindsum_job_duration_seconds", "How long the runs of a job took", labels=("job",)
    )
    for job in jobs:
        runs.add_metric((job.name, "ok"), job.runs - job.failed_runs)
        runs.add_metric((job.name, "failed"), job.failed_runs)
        things.add_metric((job.name, "done"), job.done)
        things.add_metric((job.name, "failed"), job.failed)
        took.add_metric((job.name,), count_value=job.runs, sum_value=job.seconds)
    yield from (runs, things, took)
    last_took = _by_job("last_duration_seconds", "How long the last run of a job took")
    lag = _by_job("last_lag_seconds", "How overdue the oldest thing was in the last runs of a job")
    finished = _by_job("last_finished_timestamp_seconds", "When a run of a job last ended")
    for job in jobs:
        if job.last_finished_at is not None:
            last_took.add_metric((job.name,), job.last_took_s or 0.0)
            finished.add_metric((job.name,), job.last_finished_at.timestamp())
        if job.last_lag_s is not None:
            lag.add_metric((job.name,), job.last_lag_s)
    yield from (last_took, lag, finished)


def _gauge(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mindsum_{name}", says, value=value)


def _by_job(name: str, says: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mindsum_job_{name}", says, labels=("job",))
