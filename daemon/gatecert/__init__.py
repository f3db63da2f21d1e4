"""gatecert keeps a trusted TLS certificate on a gateway and proves that it is served."""

__version__ = "0.1.0"
