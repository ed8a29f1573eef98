"""The paper's training rule and the loop around it."""
