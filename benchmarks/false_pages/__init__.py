"""False pages of the default configuration, by shape of traffic."""
