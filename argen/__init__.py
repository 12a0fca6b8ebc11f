"Aligning language models for healthcare with a written policy"
__version__ = "0.1.0"
