//! Properties of a run, one per file.
