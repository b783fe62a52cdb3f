"""A Messages API whose answers are scripted: it streams, uses tools and fails as the real one does, and thinks nothing."""
