"""softfail watches itself: findings, heartbeats, the dead man's switch."""
