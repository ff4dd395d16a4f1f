"""What is shown of a program: facts, tables, diagrams, emitted forms."""
