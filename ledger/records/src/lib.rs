//! Signed device records: encoding, limits, verification.
