"""meshcodec."""
