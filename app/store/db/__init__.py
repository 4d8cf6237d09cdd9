"""Connections, transactions, and the meaning of database errors."""
