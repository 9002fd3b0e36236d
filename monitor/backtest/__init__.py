"""Backtests: run files of events through the core, without Kafka."""
