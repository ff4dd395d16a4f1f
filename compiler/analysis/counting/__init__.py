"""How many architectures a space has, exactly."""
