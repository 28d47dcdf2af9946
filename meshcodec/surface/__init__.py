"""A signed distance field to a closed triangle mesh."""
