"""The models on this computer: what a file is, which ones were added, and getting one from the network."""
