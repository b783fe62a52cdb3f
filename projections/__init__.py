"""What can be asked: keyed folds of the event log."""
