"""What a rule reads off a window. A reading is no decision: the incident decides."""
