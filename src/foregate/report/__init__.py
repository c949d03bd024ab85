"""State to text, Markdown and pictures. No input or output of its own."""
