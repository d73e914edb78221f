"""The proof that training code, artefact and live server agree: the certificate, and the client that asks a server. No torch."""
