"""Sending email: the outbox sender, its throttle, its results and what follows from them."""
