"""The version of this release; pyproject.toml reads it here."""

VERSION = "0.2.0"
