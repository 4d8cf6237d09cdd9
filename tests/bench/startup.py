"""How long the command and the application take to start, and the memory of a web worker."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from app import create_app
from app.config import Settings
from app.store.db import database
from tests.bench.figure import IS_QUICK, Figure, at_most
from tests.bench.load import Request, answered
from tests.bench.web import add_therapist, serving
from tests.harness.processes import ROOT

HELP = "import sys; sys.argv = ['mindsum', '--help']; from app.cli import main; main()"
CREATES = "from app import create_app; from app.config import Settings; create_app(Settings())"
TIMES = 1 if IS_QUICK else 5


def figures(name: str, url: str, folder: Path) -> Iterator[Figure]:
    settings = Settings(database_url=url, ratelimit_enabled=False)
    create_app(settings)
    database.upgrade()
    with database.connection():
        add_therapist("asha")
    yield at_most(name, "mindsum --help", "s", seconds("-c", HELP), 0.5, 0.3)
    yield at_most(name, "create_app", "s", seconds("-c", CREATES), 0.9, 0.6)
    with serving(url, folder, settings) as site:
        answered(site.port, [Request("GET", "/therapists/asha", 200)] * 64)
        memory = max(map(megabytes, workers_of(site.port)))
    yield at_most(name, "memory of a web worker", "MB", memory, 90, 75)


def seconds(*arguments: str) -> float:
    """How long such a Python process takes; the median."""
    took_s = []
    for _ in range(TIMES):
        began = perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
        took_s.append(perf_counter() - began)
    return median(took_s)


def workers_of(port: int) -> Sequence[int]:
    """Processes whose parent serves that port."""
    stats = {int(each.parent.name): each.read_text() for each in Path("/proc").glob("[0-9]*/stat")}
    parents = {pid: int(stat.rpartition(")")[2].split()[1]) for pid, stat in stats.items()}
    servers = {pid for pid in parents if f"--port\0{port}\0" in command_line(pid)}
    return [pid for pid, parent in parents.items() if parent in servers]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def megabytes(pid: int) -> float:
    """Resident memory; 0 for a process that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0
