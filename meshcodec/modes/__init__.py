"""How one prepared mesh becomes bytes, and bytes a mesh."""
