"""The machine in other notations; none of them decides anything."""
