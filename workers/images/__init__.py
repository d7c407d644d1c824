"""The reference image and the agent inside it, built on the host without any registry."""
