"""Feature maps in, answers out; no backbone inside."""
