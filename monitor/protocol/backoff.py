"""Exponential backoff: the class of the SDK, which the monitor uses too."""

from softfail.backoff import Backoff

__all__ = ["Backoff"]
