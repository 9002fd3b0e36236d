"""Reports of a backtest: collect the records that the core writes, and show them as text or as a page.

Nothing here takes a decision.
"""
