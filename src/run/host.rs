//! Facts about the machine, for the report: what a number measured here can be compared with.

use sysinfo::{Error, System};

/// Operating system, kernel, processor and memory; `n/a` where the system does not say.
pub fn host_facts() -> Vec<(String, String)> {
    let known = |value: Result<String, Error>| value.unwrap_or_else(|_| "n/a".to_owned());
    let hardware = |read: fn(&mut System) -> String| known(System::new().map(|mut s| read(&mut s)));
    let processor = hardware(|system| {
        system.refresh_cpu_all();
        let brand = system.cpus().first().map_or("n/a", |cpu| cpu.brand().trim());
        format!("{brand}, {} cores", system.cpus().len())
    });
    let memory = hardware(|system| {
        system.refresh_memory();
        format!("{:.1} GiB", system.total_memory() as f64 / f64::from(1 << 30))
    });
    [
        ("machine system", known(System::long_os_version())),
        ("machine kernel", known(System::kernel_version())),
        ("machine processor", processor),
        ("machine memory", memory),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}
