//! The Sync Database in an embedded SQLite file.
