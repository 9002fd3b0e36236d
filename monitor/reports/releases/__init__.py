"""Reports of a comparison of two versions, and of a release gate."""
