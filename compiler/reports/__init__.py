"""Reports on a program: facts, tables, diagrams, emitted forms."""
