//! `--shard`: the part of a run that one of several machines measures.

use super::plan::OverrideArgs;
use super::{CliError, output};
use crate::config::shards::{self, Asked};
use crate::config::{ConfigError, Overrides};
use std::path::Path;

/// Which part is meant.
#[derive(Debug, Clone, clap::Args)]
pub struct ShardArgs {
    /// Measure only a part of the rounds, K of N, and leave the others to other machines: `auto`
    /// takes both numbers from the variables of the CI system, `auto/N` only K. `breakeven merge`
    /// puts the parts together.
    #[arg(long, value_name = "K/N", conflicts_with = "max_rounds")]
    shard: Option<Asked>,
}

impl ShardArgs {
    /// What the command line and, for one of several parts, the environment set in place of a
    /// configuration.
    pub fn overrides(&self, args: &OverrideArgs, config: &Path) -> Result<Overrides, CliError> {
        let overrides = Overrides::from(args);
        let Some(asked) = self.shard else { return Ok(overrides) };
        let variable = |name: &str| std::env::var(name).ok();
        let shard = shards::shard(asked, variable)
            .map_err(|problem| ConfigError::new(config, vec![problem]))?;
        let shared = shards::seed(variable);
        if let (Some((_, from)), None) = (shared, overrides.seed) {
            output::message(&format!(
                "note: part {shard}; where no seed is given it comes from {from}"
            ));
        }
        let shared_seed = shared.map(|(seed, _)| seed);
        Ok(Overrides { shard: Some(shard), shared_seed, ..overrides })
    }
}
