"""Discord: what people do becomes events, what sessions want shown becomes messages. Unmodified hikari underneath."""
