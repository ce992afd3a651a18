//! What comes from outside and means no good: bytes, names, links out of a tree.

mod corpus;
mod files;
mod names;
