"""Workers that share a study: rights, heartbeats, folds that are handed out, and checks of both stores."""
