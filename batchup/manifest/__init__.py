"""The job manifest: one YAML file, read with positions, checked whole."""
