"""Diagnosis of gateways: facts, checks and findings."""
