//! Reports in words and JSON.
