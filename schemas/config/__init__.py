"""Models of the configuration file, and its loader."""
