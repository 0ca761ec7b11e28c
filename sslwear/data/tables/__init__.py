"""Tables about recordings: labelled intervals, participants, and minutes of each class."""
