"""An HTTPS proxy that stands before an ACME authority and misbehaves by rule.

``rules`` says when, ``faults`` says how, ``server`` carries it out, and ``__main__`` is for trying
it by hand. Everything that no rule speaks of passes through untouched. The authority sees the
proxy's own host name, so that every URL that it gives out leads through the proxy again.
"""
