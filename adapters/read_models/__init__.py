"""Where the rows of read models are kept, and how they are asked for."""
