"""Asking the log: the sub-commands of `discord-claude` for operators. What each needs of the database is in `postgres`."""
