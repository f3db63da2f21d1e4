"""Challenges that a TXT record answers.

- dns-01 (RFC 8555 section 8.4) and dns-account-01 (draft-ietf-acme-dns-account-label): ``solver``
  publishes a record through one of the providers, waits until every nameserver of the zone answers
  with it, and withdraws it.
- dns-persist-01 (draft-ietf-acme-dns-persist): the record stays; ``standing`` only looks for it.

``record`` and ``persist`` are pure. ``zones`` and ``propagation`` ask nameservers. The providers
are ``rfc2136`` (dynamic updates), ``command`` (a command of the operator's) and ``lexicon`` (the
library dns-lexicon); ``provider`` says what each of them has to be able to do.

Importing most of these modules imports dnspython, which takes 60 ms: ``challenge.solvers`` does it
when the first challenge is presented.
"""
