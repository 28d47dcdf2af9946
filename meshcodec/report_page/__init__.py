"""What the page of ``meshcodec report`` is made of: its template, and the pictures of each mesh."""
