"""Runs the scheduler on a clock that can jump: `python -m tests.harness.clock_shim FILE`."""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

import scheduler


def leap_with(orders: Path) -> None:
    """Set this process's clock ahead or back by as many seconds as the file says, when it says."""
    travelling: time_machine.travel | None = None
    said = ""
    while True:
        time.sleep(0.05)
        if not orders.exists() or orders.read_text() == said:
            continue
        said = orders.read_text()
        if travelling is not None:
            travelling.stop()
        target = datetime.now(UTC) + timedelta(seconds=float(said))
        travelling = time_machine.travel(target, tick=True)
        travelling.start()


if __name__ == "__main__":
    orders = Path(sys.argv.pop())
    threading.Thread(target=leap_with, args=(orders,), daemon=True).start()
    sys.exit(scheduler.main())
