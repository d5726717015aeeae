//! The part of the server that needs no cluster: its store. A library, so that `benches/rematch.rs` measures the code
//! that the server runs.

pub mod store;
