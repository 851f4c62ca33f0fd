"""What is trained, and how: SketchFusion's light parts, SD-PL's prompts, or whole models (B-Finetuning)."""
