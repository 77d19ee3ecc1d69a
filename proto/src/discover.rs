//! The contract as an OpenRPC document, generated from the types.
