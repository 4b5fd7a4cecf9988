"""Learning a voice: from a person's passages to the control-vector file the engine loads."""
