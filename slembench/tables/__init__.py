"""Tables of cells as text, Markdown, CSV, LaTeX and HTML; they know no metric and no model."""
