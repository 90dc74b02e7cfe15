"""Read models as pure folds of the log."""
