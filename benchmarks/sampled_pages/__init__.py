"""False pages of sampled features: sampling designs, traffic and failure rates."""
