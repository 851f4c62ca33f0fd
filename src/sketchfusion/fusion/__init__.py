"""The method, on tensors only."""
