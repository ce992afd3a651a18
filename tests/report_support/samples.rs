//! What each of their samples took.

use breakeven::model::{Builder, Cell, Phase, PhaseRecord, Sample, State, Status, StepRecord};

/// What a link adds to moving so many bytes with so many requests.
fn on_the_wire(link: &str, down: u64, up: u64, requests: u64) -> f64 {
    let (down_bps, up_bps, rtt_s) = match link {
        "slow" => (20e6, 5e6, 0.04),
        "office" => (100e6, 40e6, 0.02),
        "fast" => (1e9, 1e9, 0.002),
        _ => return 0.0,
    };
    down as f64 * 8.0 / down_bps + up as f64 * 8.0 / up_bps + requests as f64 * rtt_s
}

/// What a job does: its phases with the operation, what it is done on, and seconds.
fn job(cell: &Cell) -> Vec<(Phase, &'static str, &'static str, f64)> {
    const IMAGE: &str = "127.0.0.1:5005/article:branch";
    const ARCHIVE: &str = "branch.tar";
    let deps = cell.change == "deps";
    let build = |seconds| (Phase::Build, "build", IMAGE, seconds);
    match (cell.strategy.as_str(), cell.state) {
        ("cold", _) => {
            let seconds = if cell.builder == Builder::Classic { 15.1 } else { 13.2 };
            vec![build(seconds), (Phase::Push, "push", IMAGE, 0.62)]
        }
        ("registry-max", State::Populate) => {
            vec![build(16.2), (Phase::Push, "push", IMAGE, 0.62)]
        }
        ("registry-max", _) => {
            vec![build(if deps { 9.8 } else { 2.4 }), (Phase::Push, "push", IMAGE, 0.31)]
        }
        ("registry-read-only", State::ReadOnly) => {
            vec![build(if deps { 8.7 } else { 1.6 }), (Phase::Push, "push", IMAGE, 0.31)]
        }
        ("registry-read-only", _) => vec![build(13.3), (Phase::Push, "push", IMAGE, 0.6)],
        ("inline", State::Populate) => vec![build(13.9), (Phase::Push, "push", IMAGE, 0.7)],
        ("inline", _) => {
            vec![build(if deps { 12.4 } else { 2.1 }), (Phase::Push, "push", IMAGE, 0.31)]
        }
        (_, State::Populate) => vec![
            (Phase::Fetch, "fetch (missing)", ARCHIVE, 0.004),
            (Phase::Build, "build --target builder", IMAGE, 12.0),
            (Phase::Build, "build", IMAGE, 3.1),
            (Phase::Save, "save", ARCHIVE, 1.7),
            (Phase::Store, "store", ARCHIVE, 0.4),
            (Phase::Push, "push", IMAGE, 0.6),
        ],
        _ => vec![
            (Phase::Fetch, "fetch", ARCHIVE, 0.35),
            (Phase::Load, "load", ARCHIVE, 1.9),
            (Phase::Build, "build --target builder", IMAGE, if deps { 11.6 } else { 0.3 }),
            (Phase::Build, "build", IMAGE, if deps { 2.9 } else { 0.8 }),
            (Phase::Save, "save", ARCHIVE, 1.7),
            (Phase::Store, "store", ARCHIVE, 0.4),
            (Phase::Push, "push", IMAGE, 0.3),
        ],
    }
}

pub fn sample(number: u32, round: u32, position: u32, cell: &Cell) -> Sample {
    let steady = matches!(cell.state, State::Steady | State::ReadOnly);
    let mut phases = Vec::new();
    for (seq, (phase, operation, reference, seconds)) in (0..).zip(job(cell)) {
        let storage = matches!(phase, Phase::Fetch | Phase::Store);
        let bytes = storage.then_some(24_117_248).filter(|_| operation != "fetch (missing)");
        let mut moved = (
            bytes.filter(|_| phase == Phase::Fetch),
            bytes.filter(|_| phase == Phase::Store),
            None,
        );
        if cell.link != "loopback" {
            moved = counted(cell, phase, moved);
        }
        let (down, up, requests) = moved;
        let wire =
            on_the_wire(&cell.link, down.unwrap_or(0), up.unwrap_or(0), requests.unwrap_or(0));
        // A link is paced: what it adds does not vary.
        let duration_s = seconds * noise(number, seq) + wire;
        let record = |operation: &str, duration_s, within: bool| PhaseRecord {
            seq,
            phase,
            operation: operation.to_owned(),
            reference: reference.to_owned(),
            duration_s,
            bytes_down: down.filter(|_| !within),
            bytes_up: up.filter(|_| !within),
            requests: requests.filter(|_| !within),
            within,
        };
        phases.push(record(operation, duration_s, false));
        if phase == Phase::Build && cell.builder == Builder::Buildkit {
            if steady {
                phases.push(record("import", duration_s * 0.05, true));
            }
            phases.push(record("steps", duration_s * 0.8, true));
            phases.push(record("export", duration_s * 0.15, true));
        }
    }
    let hits = match (steady, cell.change.as_str()) {
        (false, _) => 0,
        (true, "app") => 6,
        (true, _) => 2,
    };
    let steps = [
        ("builder", 1, "RUN package-install build-tools"),
        ("builder", 2, "COPY Gemfile Gemfile.lock ./"),
        ("builder", 3, "RUN bundle install"),
        ("1", 1, "RUN package-install runtime"),
        ("1", 2, "COPY --from=builder /bundle /bundle"),
        ("1", 3, "ENV RACK_ENV=production"),
        ("1", 4, "COPY . /app"),
        ("1", 5, "CMD [\"/app/serve\"]"),
    ];
    Sample {
        sample: number,
        round,
        position,
        machine: None,
        cell: cell.clone().into(),
        status: Status::Ok,
        reason: String::new(),
        phases: phases.into(),
        steps: (0..)
            .zip(steps)
            .map(|(place, (stage, step, instruction))| StepRecord {
                build: 0,
                stage: stage.to_owned(),
                step,
                instruction: instruction.to_owned(),
                hit: place < hits,
                duration_s: Some(if place < hits { 0.0 } else { 0.5 * noise(number, place) }),
            })
            .collect(),
        cache_source: if steady { "branch".to_owned() } else { String::new() },
        image_bytes: Some(58_720_256),
        workspace_hash: format!("{number:064x}").as_str().into(),
        started_at: format!("2026-03-02T09:{:02}:{:02}Z", number / 6 % 60, number % 6 * 10),
        reset_s: 0.4,
        overhead_s: 0.02,
        noise: None,
        findings: Vec::new(),
    }
}

/// Bytes and requests of a phase on a link that counts them.
fn counted(
    cell: &Cell,
    phase: Phase,
    (down, up, _): (Option<u64>, Option<u64>, Option<u64>),
) -> (Option<u64>, Option<u64>, Option<u64>) {
    let found = matches!(cell.state, State::Steady | State::ReadOnly);
    let app = cell.change == "app";
    match phase {
        Phase::Push if found && app => (Some(4_200), Some(900_000), Some(14)),
        Phase::Push if found => (Some(4_200), Some(8_400_000), Some(18)),
        Phase::Push => (Some(6_100), Some(21_300_000), Some(31)),
        Phase::Build => {
            let down = match cell.strategy.as_str() {
                "cold" | "save-load-stages" => 0,
                _ if !found => 1_800,
                "inline" => 12_600_000,
                _ => 19_400_000,
            };
            let up = match (cell.strategy.as_str(), cell.state) {
                ("registry-max", State::Populate) => 24_000_000,
                ("registry-max", _) => 1_600_000,
                _ => 0,
            };
            (Some(down), Some(up), Some(if down == 0 { 0 } else { 12 }))
        }
        Phase::Fetch | Phase::Store => (down.or(Some(0)), up.or(Some(0)), Some(1)),
        _ => (down, up, None),
    }
}

/// A factor around 1 that depends on nothing but its arguments.
fn noise(number: u32, place: u32) -> f64 {
    let mixed = (number.wrapping_mul(2_654_435_761) ^ place.wrapping_mul(40_503)) % 1_000;
    0.96 + f64::from(mixed) / 1_000.0 * 0.08
}
