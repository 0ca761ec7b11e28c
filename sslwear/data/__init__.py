"""From recordings to windows, data set directories and participant-disjoint splits."""
