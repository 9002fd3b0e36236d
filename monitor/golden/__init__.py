"""Golden sets: cases, checks, the paired comparison of two runs, and the decision of the gate; pure."""
