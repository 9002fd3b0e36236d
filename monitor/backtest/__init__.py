"""Run files of events through the core."""
