"""What a replay tells a person: folds over the records that a core writes, and forms to show them in. They
decide nothing.
"""
