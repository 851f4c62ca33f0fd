"""The tasks: retrieval, recognition, correspondence and segmentation, from feature maps of any model."""
