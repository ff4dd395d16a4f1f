"""The space graph as nested torch.fx modules."""
