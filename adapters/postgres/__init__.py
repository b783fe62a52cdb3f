"""The event log in PostgreSQL, and what is kept beside it: keys, interaction tokens, seals."""
