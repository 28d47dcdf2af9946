"""Pictures of meshes: a rasterizer, and sheets with captions."""
