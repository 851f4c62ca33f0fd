"""What SketchFusion is compared with, behind the same face."""
