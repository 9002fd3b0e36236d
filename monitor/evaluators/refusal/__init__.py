"""Recognize refusals: clauses, speakers, and patterns by language."""
