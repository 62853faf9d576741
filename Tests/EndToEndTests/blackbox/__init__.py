"""Starts real servers on loopback and talks to them as any client would. Python's standard library only."""
