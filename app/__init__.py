"""What a person touches: the command line, the window, and the data they work on."""
