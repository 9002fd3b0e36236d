"""Confidence sequences for comparing two arms."""
