"""What touches the world. Adapters know the core and the schema, never each other; `wiring` joins them."""
