"""Challenges that are answered by a TXT record.

- dns-01 (RFC 8555 section 8.4) and dns-account-01 (draft-ietf-acme-dns-account-label):
  ``dns01_solver`` publishes a record through a provider, waits until every nameserver of the zone
  answers with it, and withdraws it.
- dns-persist-01 (draft-ietf-acme-dns-persist): the operator publishes the record once;
  ``persist_solver`` checks that it is there.

``record`` and ``persist_record`` are pure. ``zones``, ``nameservers`` and ``propagation`` send DNS
queries. The providers are ``rfc2136_provider`` (dynamic updates), ``exec_provider`` (a command) and
``lexicon_provider`` (the library dns-lexicon); ``provider`` is their interface.
"""
