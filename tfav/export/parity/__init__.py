"""How far an artefact is from its checkpoint."""
