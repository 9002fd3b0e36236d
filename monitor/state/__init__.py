"""Everything that one partition keeps, and its codec."""
