"""From a trial to a model that others use: registry, promotion, server, predictions."""
