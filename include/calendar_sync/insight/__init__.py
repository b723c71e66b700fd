"""What people look at, from the state database; `health` and `explain` ask both sides, too."""
