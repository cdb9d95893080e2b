"""Who does the work: one package a provider."""
