"""What is written down. Everything here outlives the code that wrote it."""
