"""Looking inside: what the frozen models and the fused one see in a picture (the paper's pilot study)."""
