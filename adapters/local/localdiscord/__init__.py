"""A Discord for one machine: REST v10 and gateway v10, well enough for an unmodified hikari bot, and a page for people."""
