"""Clients of the engine and calibrate processes, the same for the command line and the window."""
