//! The program on the real engine. No engine is a failure, never a skip.

mod daemonless;
mod export;
mod faults;
mod faults_cache;
mod faults_engine;
mod faults_hang;
mod faults_kill;
mod faults_machine;
mod faults_table;
#[path = "../storage/front.rs"]
mod front;
mod harness;
mod inner;
mod lab;
mod login;
mod pipeline;
mod podman;
mod private;
mod replay;
mod resume;
mod runs;
mod sabotage;
mod secrets;
#[path = "../storage/server.rs"]
mod server;
mod stopping;
mod traps;
mod traps_around;
mod traps_engine;
mod traps_hits;
mod traps_structure;
