"""Untrusted chat attachments on disk for exactly as long as a piece of code needs them."""
