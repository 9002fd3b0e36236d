"""Likely causes of an episode, recent rollouts, attribution to a provider or model."""
