"""Generated shapes: signed distance functions, and a procedural generator."""
