"""Commands of golden sets: files, targets, progress and reports."""
