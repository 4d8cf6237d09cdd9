"""Connections, transactions, and the meaning of database errors."""

from app.libraries import import_without

# On SQLite PostgreSQL's driver would be a fifth of a web worker's memory.
# app/store/db/postgresql.py imports it where it is used.
import_without("psycopg", ("peewee", "playhouse.migrations"))
