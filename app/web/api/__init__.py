"""The HTTP API under /api: JSON in and out, a key for every call."""
