"""First YAML files of one's own: `write` copies one of the templates here to where it can be chosen."""
