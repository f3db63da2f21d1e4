"""Measurements of time, memory and processor, side by side with certbot in one run."""
