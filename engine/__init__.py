"""What is decided: pure deciders, and the actors that run them."""
