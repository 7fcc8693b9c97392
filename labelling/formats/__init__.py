"""Labels as files of other programs, and back: JSON Lines, CSV, Label Studio's JSON."""
