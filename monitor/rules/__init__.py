"""Rules: read a window and its reference. A reading is not a decision; the incident decides."""
