"""Files in, files out: pictures, drawings, weights."""
