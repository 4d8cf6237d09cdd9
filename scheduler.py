"""Starts the scheduler: `python scheduler.py [--once]`."""

import sys

from app.scheduler.process import main

if __name__ == "__main__":
    sys.exit(main())
