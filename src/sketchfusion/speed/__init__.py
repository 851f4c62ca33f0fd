"""What things cost: time, memory and arithmetic, beside the plain way of doing the same."""
