"""The settings as a form: words, sample, review, effect."""
