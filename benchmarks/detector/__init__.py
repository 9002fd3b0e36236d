"""Simulation of the sequential detector over many streams, and of detectors that it is compared with."""
