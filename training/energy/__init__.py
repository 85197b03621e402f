"""What a run costs in energy, and what that energy emits."""
