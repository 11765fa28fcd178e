"""pixi.lock and base.lock: read, compare, unpin, and check against the manifest."""
