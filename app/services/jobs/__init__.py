"""The work of the scheduler: finding what is due, doing it in batches, and its statistics."""
