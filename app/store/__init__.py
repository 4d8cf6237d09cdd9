"""What is so: tables, named reads and the outbox."""
