"""The other systems, over HTTP: Welkin, Google, Microsoft. None knows another."""
