"""One trial: pre-training, training in each fold, scores, and the training of the winner."""
