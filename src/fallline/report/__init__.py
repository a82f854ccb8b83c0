"""One page that answers: run folders become numbers, numbers become figures, tables and words."""
