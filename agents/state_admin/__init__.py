"""Inspect, rebuild, drop and reset the state of an agent."""
