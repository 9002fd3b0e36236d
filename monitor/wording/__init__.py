"""Numbers, findings and episodes in English."""
