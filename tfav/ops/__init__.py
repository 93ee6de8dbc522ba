"""Functions on tensors that losses and layers share."""
