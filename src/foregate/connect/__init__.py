"""The world outside: files for people and other systems."""
