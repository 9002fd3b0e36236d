"""Answers that people read: a stratified sample, their labels, agreement, and events of their verdicts."""
