"""The words of everything: model, errors, ports. Knows nothing above it."""
