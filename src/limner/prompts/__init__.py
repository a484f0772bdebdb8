"""What is sent for what was asked: analysis, limits, a language model's help, styles and templates."""
