//! Misbehaving participants, one misbehaviour per file.
