"""The world outside: where alerts are told."""
