"""The data's own engine: adapters, sources, point-in-time compilation, publishing by pointer."""
