"""Run Foregate as `python -m foregate`."""

from foregate.cli import main

main()
