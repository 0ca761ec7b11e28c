"""Web servers: a model over HTTP, and the pages of studies."""
