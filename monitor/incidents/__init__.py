"""State machines of incidents and episodes."""
