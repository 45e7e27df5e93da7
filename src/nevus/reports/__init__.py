"""Figures and pages for people, made from what the evaluation wrote."""
