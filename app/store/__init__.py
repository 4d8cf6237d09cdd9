"""The database: tables, queries, and the outbox."""
