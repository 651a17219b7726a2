"""How requests wait for a python model: in its own process, bounded, and for as long as their callers do."""
