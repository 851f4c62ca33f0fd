"""Read and write files: pictures, drawings, weights, feature maps."""
