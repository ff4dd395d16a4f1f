"""What a command does with torch: search, train, evaluate, export, measure."""
