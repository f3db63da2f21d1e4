"""Client CAs: the bundle of CAs that sign client certificates, its checks and its deployment."""
