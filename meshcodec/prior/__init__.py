"""VAT's second stage: a transformer that predicts the tokens of the next scale, and so makes new shapes."""
