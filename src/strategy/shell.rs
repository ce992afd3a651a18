//! The steps of a job as the docker commands that a person would type.
