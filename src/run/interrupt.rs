//! Ctrl-C and SIGTERM: the first one ends the step in hand, the second one the process.

use tokio_util::sync::CancellationToken;

/// Exit code of an interrupted run, after 128 + SIGINT.
pub const EXIT_INTERRUPTED: i32 = 130;

/// Cancels the token at the first signal and ends the process at the second one.
///
/// Must be called within a tokio runtime. `told` is called at the first signal.
pub fn listen(cancel: CancellationToken, told: impl Fn() + Send + 'static) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first {
                told();
                cancel.cancel();
            } else {
                std::process::exit(EXIT_INTERRUPTED);
            }
        }
    });
    Ok(())
}
