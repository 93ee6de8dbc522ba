"""From a config to a recipe, its data and its origin: where a config stops."""
