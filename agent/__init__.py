"""The agent of an unattended rest station."""

__version__ = "0.1.0"
