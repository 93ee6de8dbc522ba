"""From a trained recipe to artefacts, each with its parity."""
