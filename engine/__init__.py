"""llama.cpp behind one small interface, in a process of its own."""
