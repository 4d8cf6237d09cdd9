"""Prometheus metrics read from the database at each scrape, so all processes report the same."""

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
    "enquiries_open": "Enquiries without an answer",
    "enquiries_overdue": "Enquiries past their expiry that the scheduler has not ended yet",
    "outbox_due": "Emails that could be sent now",
    "outbox_held": "Whether ops holds the outbox",
    "outbox_oldest_due_age_seconds": "Age of the email that has waited longest",
    "scheduler_heartbeat_age_seconds": "Time since the last sign of life of a scheduler",
}


class DatabaseMetrics(Collector):
    """Also reports a database that does not answer or is not upgraded."""

    def collect(self) -> Iterator[Metric]:
        is_up, metrics = True, None
        try:
            with database.snapshot():
                metrics = health.collect_metrics(clock.now())
        except (StoreUnavailable, peewee.DatabaseError, peewee.InterfaceError):
            is_up = False
        yield _gauge("database_up", "Whether the database answers", float(is_up))
        if is_up:
            is_current = float(metrics is not None)
            yield _gauge("schema_current", "Whether the schema is current", is_current)
        if metrics is not None:
            yield from _booking_metrics(metrics)
            yield from _job_metrics(metrics.jobs)


def _booking_metrics(metrics: Metrics) -> Iterator[Metric]:
    for name, value in metrics.levels.items():
        yield _gauge(name, _LEVELS[name], value)
    emails = GaugeMetricFamily(
        "mindsum_outbox_emails", "Emails in the outbox, by state", labels=("status",)
    )
    for status, count in metrics.emails.items():
        emails.add_metric((status,), count)
    outcomes = CounterMetricFamily(
        "mindsum_deliveries", "Attempts to deliver an email, by outcome", labels=("outcome",)
    )
    for outcome, count in metrics.outcomes.items():
        outcomes.add_metric((outcome,), count)
    moves = CounterMetricFamily(
        "mindsum_moves", "Timeline entries, by kind and source", labels=("kind", "via")
    )
    for kind, via, count in metrics.moves:
        moves.add_metric((kind, via), count)
    yield from (emails, outcomes, moves)


def _job_metrics(jobs: list[JobStatistics]) -> Iterator[Metric]:
    runs = CounterMetricFamily("mindsum_job_runs", "Runs of a job", labels=("job", "result"))
    items = CounterMetricFamily(
        "mindsum_job_things", "Items that were due in a job, by result", labels=("job", "result")
    )
    duration = SummaryMetricFamily(
        "mindsum_job_duration_seconds", "How long the runs of a job took", labels=("job",)
    )
    last_duration = _job_gauge("last_duration_seconds", "How long the last run of a job took")
    lag = _job_gauge("last_lag_seconds", "How overdue the oldest item was in a job's last runs")
    finished = _job_gauge("last_finished_timestamp_seconds", "When a run of a job last ended")
    for job in jobs:
        runs.add_metric((job.name, "ok"), job.runs - job.failed_runs)
        runs.add_metric((job.name, "failed"), job.failed_runs)
        items.add_metric((job.name, "done"), job.done)
        items.add_metric((job.name, "failed"), job.failed)
        duration.add_metric((job.name,), count_value=job.runs, sum_value=job.seconds)
        if job.last_finished_at is not None:
            last_duration.add_metric((job.name,), job.last_took_s or 0.0)
            finished.add_metric((job.name,), job.last_finished_at.timestamp())
        if job.last_lag_s is not None:
            lag.add_metric((job.name,), job.last_lag_s)
    yield from (runs, items, duration, last_duration, lag, finished)


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mindsum_{name}", help_text, value=value)


def _job_gauge(name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mindsum_job_{name}", help_text, labels=("job",))
