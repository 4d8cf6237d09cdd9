"""How we reach the database: connections, transactions, and what its errors mean."""
