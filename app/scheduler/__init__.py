"""The scheduler: when each job runs, and the process that runs them."""
