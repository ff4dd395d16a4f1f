"""Explorers: architectures are proposed, judged and told, and the best one is derived."""
