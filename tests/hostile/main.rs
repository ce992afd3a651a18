//! What comes from outside and means no good: bytes, names, links out of a tree.

mod files;
mod names;
