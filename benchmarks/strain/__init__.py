"""What becomes of a server that is asked for more than it can do, and of one that is asked for long."""
