"""pixi.lock and base.lock: read, compare, unpin, and check them against the manifest."""
