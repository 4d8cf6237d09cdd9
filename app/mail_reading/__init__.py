"""Reads messages that came in as facts: pure, and safe with whatever the bytes are."""
