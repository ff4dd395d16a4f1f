"""The space graph in torch: passes, lowering, fused sums, modules, export."""
