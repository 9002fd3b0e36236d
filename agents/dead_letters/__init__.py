"""Read, group and reinject dead letters."""
