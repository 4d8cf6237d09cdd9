"""Signed links in emails to therapists: their pages, and from a token to its booking."""
