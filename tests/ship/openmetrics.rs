//! OpenMetrics text, as the Python client's parser reads it.

use crate::support::{breakeven, done, printed, python, sample_run};
use std::process::Command;

const READ: &str = "import json, sys\n\
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
    print(json.dumps({f.name: [f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]]\n\
    for f in read(open(sys.argv[1]).read())}))";

#[test]
fn another_program_reads_the_same_figures() {
    let dir = tempfile::tempdir().unwrap();
    let (run, file) = (sample_run(dir.path()), dir.path().join("run.metrics"));
    done(breakeven().arg("report").arg(&run).arg("--openmetrics").arg(&file));
    let read = printed(Command::new(python()).args(["-c", READ]).arg(&file));
    let read: serde_json::Value = serde_json::from_str(&read).unwrap();
    let report = std::fs::read_to_string(run.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();

    assert_eq!(read["breakeven_saving_seconds"][1], "seconds");
    let savings = read["breakeven_saving_seconds"][2].as_array().unwrap();
    let weighted = report["weighted"].as_array().unwrap();
    assert!(weighted.len() > 2 && savings.len() == weighted.len() * 3, "{savings:?}");
    for one in weighted {
        for (bound, key) in [("point", "point"), ("low", "low"), ("high", "high")] {
            let same = |sample: &&serde_json::Value| {
                let labels = &sample[1];
                labels["strategy"] == one["strategy"]
                    && labels["builder"] == one["builder"]
                    && labels["bound"] == bound
            };
            let found = savings.iter().find(same).unwrap_or_else(|| panic!("{one}"));
            assert_eq!(found[2].as_f64(), one["saving"]["seconds"][key].as_f64(), "{one}");
        }
    }
    let ok = read["breakeven_samples"][2].as_array().unwrap();
    let ok: f64 = ok.iter().filter_map(|sample| sample[2].as_f64()).sum();
    assert!(ok > 0.0);
}
