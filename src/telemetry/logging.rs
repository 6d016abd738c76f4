//! Sets up the log: which events are written, in which form. Lines go to standard error, because standard
//! output belongs to the commands.

use std::{io::IsTerminal, sync::Arc};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt, reload};

use super::traces::Traces;
use crate::settings::{LogFormat, LoggingSettings};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not understood; settings that were loaded never have such a filter.
    #[error("the log filter is not understood ({0}); nothing would be logged, correct LOG_LEVEL")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The log is gone.
    #[error("the log cannot be changed any more ({0}); its filter stays as it was")]
    Gone(#[from] reload::Error),
    /// Something else has set up a log before.
    #[error("the log is already set up in this process ({0}); the first set-up stays in force")]
    AlreadySet(#[from] TryInitError),
}

/// Sets up the log of this process, once; what passes its filter is traced as well, where there are traces.
///
/// # Errors
/// When the filter is not understood, or when the log is set up already.
pub fn install(settings: &LoggingSettings, traces: Option<&Traces>) -> Result<Log, LoggingError> {
    let colours = std::io::stderr().is_terminal();
    let (subscriber, log) = subscriber(settings, std::io::stderr, colours, traces)?;
    subscriber.try_init()?;
    Ok(log)
}

/// A hand on a log that is set up.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl Log {
    fn of<S: 'static>(filter: reload::Handle<EnvFilter, S>) -> Self {
        Self(Arc::new(move |new| filter.reload(new)))
    }

    /// Writes other events from now on.
    ///
    /// # Errors
    /// When the filter is not understood; then everything stays as it was.
    pub fn set_filter(&self, text: &str) -> Result<(), LoggingError> {
        Ok((self.0)(filter(text)?)?)
    }
}

/// The subscriber that [`install`] uses, writing elsewhere; `colours` concerns readable lines only.
///
/// # Errors
/// When the filter is not understood.
pub fn subscriber<W>(
    settings: &LoggingSettings,
    writer: W,
    colours: bool,
    traces: Option<&Traces>,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Log), LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter(&settings.filter)?;
    Ok(match settings.format {
        LogFormat::Json => {
            let builder = fmt()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(true)
                .with_writer(writer)
                .with_env_filter(filter)
                .with_filter_reloading();
            let log = Log::of(builder.reload_handle());
            (traced(builder.finish(), traces), log)
        }
        LogFormat::Readable => {
            let builder = fmt()
                .with_ansi(colours)
                .with_writer(writer)
                .with_env_filter(filter)
                .with_filter_reloading();
            let log = Log::of(builder.reload_handle());
            (traced(builder.finish(), traces), log)
        }
    })
}

fn traced<S>(subscriber: S, traces: Option<&Traces>) -> Box<dyn Subscriber + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    match traces {
        Some(traces) => Box::new(subscriber.with(traces.layer())),
        None => Box::new(subscriber),
    }
}

/// Leaves out what libraries say too loud, or what of others they would write down; whoever wants it all the same names the
/// library.
fn filter(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let mut filter = EnvFilter::try_new(text)?;
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    // The protocol of assistants would log what they send, of any length: whatever they put in the wrong place.
    if !text.contains("rmcp") {
        filter = filter.add_directive("rmcp=off".parse()?);
    }
    // A request that makes no sense would be logged, as an error of this service, and anyone can send one; of answers that make
    // none the headers would be, in which the Client System may repeat the key.
    if !text.contains("actix_http") {
        filter = filter.add_directive("actix_http::h1=off".parse()?);
    }
    // Addresses would be logged, and whatever stands in them.
    if most > LevelFilter::DEBUG && !text.contains("actix_cors") {
        filter = filter.add_directive("actix_cors=debug".parse()?);
    }
    // The server of the local API comes and goes with whoever asks, and would tell of it each time.
    if most <= LevelFilter::INFO && !text.contains("actix_server") {
        filter = filter.add_directive("actix_server=warn".parse()?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat) -> String {
        logged_after(filter, format, |_| {})
    }

    fn logged_after(filter: &str, format: LogFormat, change: impl FnOnce(&Log)) -> String {
        written(filter, format, |log| {
            change(log);
            let span = tracing::info_span!("request", id = 7);
            let _entered = span.enter();
            tracing::info!(readings = 3, "stored\nreadings");
            tracing::debug!("hidden");
        })
    }

    /// What is written of all that is told.
    fn written(filter: &str, format: LogFormat, tell: impl FnOnce(&Log)) -> String {
        let settings = LoggingSettings {
            filter: filter.to_owned(),
            format,
        };
        let buffer = Buffer::default();
        let writer = {
            let buffer = buffer.clone();
            move || buffer.clone()
        };
        let (subscriber, log) = subscriber(&settings, writer, false, None).unwrap();
        tracing::subscriber::with_default(subscriber, || tell(&log));
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_is_one_object_per_line_with_the_fields_and_the_span() {
        let text = logged("info", LogFormat::Json);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "stored\nreadings");
        assert_eq!(line["readings"], 3);
        assert_eq!(line["spans"][0]["id"], 7);
    }

    #[test]
    fn readable_lines_carry_the_fields_and_no_colours_outside_a_terminal() {
        let text = logged("info", LogFormat::Readable);
        assert!(text.contains("readings=3"), "{text}");
        assert!(
            !text.contains('\u{1b}') && !text.contains("hidden"),
            "{text}"
        );
    }

    #[test]
    fn the_filter_may_change_later() {
        for format in [LogFormat::Json, LogFormat::Readable] {
            let text = logged_after("off", format, |log| {
                assert!(log.set_filter("meterit_sync=nonsense").is_err());
                log.set_filter("meterit_sync=debug").unwrap();
            });
            assert!(text.contains("hidden"), "{text}");
        }
    }

    #[test]
    fn what_libraries_would_repeat_of_others_is_left_out_at_every_level() {
        let said = |filter: &str| {
            written(filter, LogFormat::Readable, |_| {
                tracing::error!(target: "rmcp::service", "a name of theirs");
                tracing::error!(target: "actix_http::h1::decoder", "a header of theirs");
                tracing::trace!(target: "actix_cors::middleware", "an address of theirs");
            })
        };
        for filter in ["error", "warn", "info", "debug", "trace"] {
            assert_eq!(said(filter), "", "{filter}");
        }
        assert!(said("info,rmcp=error").contains("a name of theirs"));
    }

    #[test]
    fn the_filter_may_name_modules() {
        let text = logged("off,meterit_sync=debug", LogFormat::Readable);
        assert!(text.contains("hidden"), "{text}");
    }
}
