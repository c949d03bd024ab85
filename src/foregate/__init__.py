"""Foregate: business models to production through gates, and back out in seconds."""
