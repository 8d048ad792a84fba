"""The venue: its endpoints, limits, errors and rows, in its own words."""
