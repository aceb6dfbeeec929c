//! Signatures, MAC authenticators, checks as data, batch verification.
