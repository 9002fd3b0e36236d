"""References: what a window is compared with (trailing, same hours last week, pinned, previous version)."""
