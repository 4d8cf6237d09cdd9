"""Clients: their links, what is exported of them, and what erasing removes."""
