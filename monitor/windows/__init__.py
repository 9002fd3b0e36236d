"""Panes, series, metric definitions and text blocks."""
