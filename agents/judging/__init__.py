"""Calls of judges: the clients of the providers, retries, and the agent."""
