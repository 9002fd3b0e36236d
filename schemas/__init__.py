"""All that crosses a topic, and the configuration: frozen pydantic models."""
