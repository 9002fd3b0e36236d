"""Judges: models that grade a sample of the responses. Pure: sampling, budget, prompt, answer, trust, correction.

``agents/judging`` makes the calls.
"""
