"""Detect refusals: clause segmentation, the author's own text, and patterns by language."""
