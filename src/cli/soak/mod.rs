//! `soak`: the service as a process, under attack for as long as wanted, and an account of every reading by those who
//! stand outside of it. Everything that is done follows from a seed; only the machine's own timing does not.

mod oracle;
mod plan;
mod report;
mod resources;
mod service;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use tempfile::TempDir;

use self::{
    oracle::Oracle,
    plan::{Attack, Numbers, attacks},
    report::Report,
    resources::Resources,
    service::{Conditions, Service},
};
use super::{failed, say};
use crate::{
    app::DESERTED,
    clock::Clock,
    demo::{
        client_system::{ClientSystem, ClientSystemOptions},
        fault_proxy::{Cut, FaultProxy},
        meters::{MeterWriter, Readings},
    },
    settings::DatabaseSettings,
};

/// Whoever waits for the service looks this often, and gives it something to do every so many looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const LOOKS_BETWEEN_NUDGES: u32 = 10;
/// A backlog is written in transactions of this length.
const READINGS_AT_A_TIME: u64 = 10_000;
/// Readings that are added when the service has run out of work before it came to what was planned.
const MORE_WORK: u64 = 10;
/// Without any reading that arrives; longer than all backoffs of a batch in a pass together.
const PATIENCE: Duration = Duration::from_secs(300);
/// The process has settled down after this time.
const FIRST_MINUTE: Duration = Duration::from_secs(60);
/// Its own client keeps a connection for so long, as awc does by default: until then the service has a caller.
const CONNECTION_KEPT: Duration = Duration::from_secs(15);
/// All idle connections are closed after this time, and the server of the local API has gone for want of callers, which it
/// otherwise would have at one look and not at the other.
const QUIET: Duration = CONNECTION_KEPT
    .saturating_add(DESERTED)
    .saturating_add(Duration::from_secs(5));
const LOOKS_AT_RESOURCES: u32 = 20;
const BETWEEN_LOOKS_AT_RESOURCES: Duration = Duration::from_millis(250);
/// A line of progress is printed this often.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct SoakArguments {
    /// Decides everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    // Without any attack the readings are written first, and then drained in one go.
    /// Connections that are cut, at every stage of a request and its answer
    #[arg(long, default_value_t = 60)]
    cuts: usize,
    /// How often the process is killed
    #[arg(long, default_value_t = 12)]
    kills: usize,
    /// How often an actor panics
    #[arg(long, default_value_t = 11)]
    panics: usize,
    /// Readings to upload
    #[arg(long, default_value_t = 60_000)]
    readings: u64,
    /// One reading in so many is invalid; 0 for none
    #[arg(long, default_value_t = 1_000)]
    invalid_one_in: u64,
    /// Readings in a batch
    #[arg(long, default_value_t = 500)]
    batch_size: u32,
    /// An empty PostgreSQL database for the queue, such as postgres://user@127.0.0.1:5432/soak; without it, SQLite
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Keep the Sync Database and the service's log in this folder instead of a temporary one
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

/// Runs the soak. Exit code 0 only if the service kept all promises.
pub(super) fn execute(arguments: &SoakArguments) -> ExitCode {
    match actix::System::new().block_on(soak(arguments)) {
        Ok(report) => {
            say(&report.to_string());
            if report.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => failed(format_args!("the soak broke off: {error}")),
    }
}

async fn soak(arguments: &SoakArguments) -> Result<Report, Failure> {
    let temporary = TempDir::with_prefix("meterit-sync-soak-")?;
    let folder = arguments
        .data_dir
        .clone()
        .unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let result = Soak::begin(arguments, &folder).await;
    let result = match result {
        Ok(soak) => soak.run(arguments).await,
        Err(error) => Err(error),
    };
    if result.is_err() && arguments.data_dir.is_none() {
        // The log is worth more than the room that it takes.
        let _ = temporary.keep();
    }
    result
}

/// Everything around the service.
struct Soak {
    clock: Clock,
    client_system: ClientSystem,
    proxy: FaultProxy,
    service: Service,
    oracle: Oracle,
    first: Readings,
    report: Report,
    after_first_minute: Option<Resources>,
    told_at: Duration,
}

impl Soak {
    async fn begin(arguments: &SoakArguments, folder: &Path) -> Result<Self, Failure> {
        let clock = Clock::system();
        let client_system = ClientSystem::start(ClientSystemOptions {
            keep_readings: false,
            faults: Oracle::rules(),
            ..ClientSystemOptions::default()
        })?;
        let proxy = FaultProxy::start(client_system.port(), clock.clone())?;
        let database = folder.join("sync.db");
        let database_url = match &arguments.database_url {
            Some(url) => {
                DatabaseSettings::parse(url)
                    .map_err(|trouble| format!("--database-url cannot be used: {trouble}"))?;
                url.clone()
            }
            None => format!("sqlite:{}", database.display()),
        };
        let conditions = Conditions {
            variables: variables(arguments, &client_system, &proxy, &database_url),
            folder: folder.to_owned(),
            port: TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
        };
        let service = Service::start(conditions, clock.clone()).await?;
        let writer = if arguments.database_url.is_some() {
            MeterWriter::connect(&database_url).await?
        } else {
            MeterWriter::open(&database).await?
        };
        let mut oracle = Oracle::new(arguments, clock.now(), writer);
        oracle.check_empty().await?;
        Ok(Self {
            first: oracle.first_to_last(),
            clock,
            client_system,
            proxy,
            service,
            oracle,
            report: Report::default(),
            after_first_minute: None,
            told_at: Duration::ZERO,
        })
    }

    async fn run(mut self, arguments: &SoakArguments) -> Result<Report, Failure> {
        let begun = self.clock.elapsed();
        let attacks = attacks(
            arguments.seed,
            Numbers {
                cuts: arguments.cuts,
                kills: arguments.kills,
                panics: arguments.panics,
            },
        );
        let number = attacks.len() as u64;
        for (index, attack) in (0..).zip(attacks) {
            let share = |index| arguments.readings * index / number;
            let readings = share(index + 1) - share(index);
            self.attack(attack, readings).await?;
            self.look_at_resources_after_a_minute().await?;
            self.tell_progress(index + 1, number);
        }
        if number == 0 {
            self.write_backlog(arguments.readings).await?;
        }
        self.wait_until_drained().await?;
        self.report.resources = match self.after_first_minute {
            Some(before) => Some((before, self.look_at_resources().await?)),
            None => None,
        };
        self.report.peak = Resources::peak_of(self.service.id())?;
        self.report.account = self.oracle.settle(&self.client_system, self.first).await?;
        self.report.took = self.clock.elapsed().saturating_sub(begun);
        Ok(self.report)
    }

    /// Nothing leaves before all of it is there.
    async fn write_backlog(&mut self, readings: u64) -> Result<(), Failure> {
        self.service.switch("stop").await;
        let mut left = readings;
        while left > 0 {
            let part = left.min(READINGS_AT_A_TIME);
            self.oracle.write(part).await?;
            left -= part;
        }
        self.service.switch("start").await;
        Ok(())
    }

    /// What is to be hit is planned before there is anything to do.
    async fn attack(&mut self, attack: Attack, readings: u64) -> Result<(), Failure> {
        match attack {
            Attack::Cut { cut, is_last } => self.cut(cut, is_last, readings).await,
            Attack::Kill { after } => {
                self.feed(readings).await?;
                self.clock.sleep(after).await;
                self.service.kill_and_start().await?;
                self.after_first_minute = None;
                self.report.kills += 1;
                Ok(())
            }
            Attack::Panic { point } => self.panic_at(point, readings).await,
        }
    }

    async fn feed(&mut self, readings: u64) -> Result<(), Failure> {
        self.oracle.write(readings).await?;
        self.service.nudge().await;
        Ok(())
    }

    async fn cut(&mut self, cut: Cut, is_last: bool, readings: u64) -> Result<(), Failure> {
        let (_, before) = self.client_system.delivered();
        let mut made = self.proxy.arm(cut);
        self.feed(readings).await?;
        self.provoke("an exchange to cut", async |_| Ok(made.try_recv().is_ok()))
            .await?;
        *self.report.cuts.entry((cut.stage, cut.harm)).or_default() += 1;
        if is_last {
            self.wait_until("readings to arrive again", async |soak| {
                Ok(soak.client_system.delivered().1 > before || soak.oracle.is_drained().await?)
            })
            .await?;
        }
        Ok(())
    }

    async fn panic_at(&mut self, point: &str, readings: u64) -> Result<(), Failure> {
        let before = self.service.restarts().await?;
        self.service.arm(point)?;
        self.feed(readings).await?;
        self.provoke("an actor to be restarted", async |soak| {
            Ok(soak.service.restarts().await? > before)
        })
        .await?;
        self.report.panics += 1;
        Ok(())
    }

    /// Waits for something that comes about while the service works, and sees that it does not run out of work.
    async fn provoke(
        &mut self,
        what: &str,
        mut has_happened: impl AsyncFnMut(&mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut has_happened = async |soak: &mut Self| {
            if has_happened(soak).await? {
                return Ok(true);
            }
            if soak.oracle.is_drained().await? {
                soak.oracle.write(MORE_WORK).await?;
            }
            Ok(false)
        };
        self.wait_until(what, &mut has_happened).await
    }

    /// By itself: nobody triggers anything.
    async fn wait_until_drained(&mut self) -> Result<(), Failure> {
        self.wait("the queue to drain", None, async |soak| {
            soak.oracle.is_drained().await
        })
        .await
    }

    async fn wait_until(
        &mut self,
        what: &str,
        is_so: impl AsyncFnMut(&mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        self.wait(what, Some(LOOKS_BETWEEN_NUDGES), is_so).await
    }

    async fn wait(
        &mut self,
        what: &str,
        looks_between_nudges: Option<u32>,
        mut is_so: impl AsyncFnMut(&mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut delivered = self.client_system.delivered();
        let mut deadline = self.clock.elapsed() + PATIENCE;
        for look in 1_u32.. {
            if is_so(self).await? {
                return Ok(());
            }
            let now = self.client_system.delivered();
            if now != delivered {
                delivered = now;
                deadline = self.clock.elapsed() + PATIENCE;
            }
            self.service
                .check_alive(deadline, &format!("waited in vain for {what}"))?;
            if looks_between_nudges.is_some_and(|looks| look.is_multiple_of(looks)) {
                self.service.nudge().await;
            }
            self.clock.sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    async fn look_at_resources_after_a_minute(&mut self) -> Result<(), Failure> {
        let lived = self.clock.elapsed().saturating_sub(self.service.started_at);
        if self.after_first_minute.is_none() && lived >= FIRST_MINUTE {
            self.wait_until_drained().await?;
            self.after_first_minute = Some(self.look_at_resources().await?);
        }
        Ok(())
    }

    /// With nothing to do, and no connection left from the work before.
    async fn look_at_resources(&self) -> Result<Resources, Failure> {
        self.clock.sleep(QUIET).await;
        let mut least = Resources::of(self.service.id())?;
        // A heartbeat under way would count as a socket. So would a connection that it once needed beside a health
        // check: the calls that go on in quiet times take turns on all idle connections and so keep them.
        for _ in 0..LOOKS_AT_RESOURCES {
            self.proxy.close_idle_connections();
            self.clock.sleep(BETWEEN_LOOKS_AT_RESOURCES).await;
            least = least.least(Resources::of(self.service.id())?);
        }
        Ok(least)
    }

    fn tell_progress(&mut self, done: u64, of: u64) {
        let now = self.clock.elapsed();
        if now.saturating_sub(self.told_at) < BETWEEN_LINES && done < of {
            return;
        }
        self.told_at = now;
        let (stored, delivered) = self.client_system.delivered();
        // Just killed, it may be nobody's process.
        let resident = Resources::of(self.service.id()).map_or(0, |held| held.resident);
        say(&format!(
            "{}:{:02}  {done} of {of} attacks, {delivered} readings delivered, {} of them sent again, {resident} KiB resident\n",
            now.as_secs() / 60,
            now.as_secs() % 60,
            stored - delivered
        ));
    }
}

/// Short intervals and timeouts, so that every minute holds many attacks.
fn variables(
    arguments: &SoakArguments,
    client_system: &ClientSystem,
    proxy: &FaultProxy,
    database_url: &str,
) -> Vec<(&'static str, String)> {
    vec![
        (
            "CLIENT_API_URL",
            format!("http://127.0.0.1:{}/api", proxy.port()),
        ),
        ("CLIENT_API_KEY", client_system.api_key()),
        ("DATABASE_URL", database_url.to_owned()),
        ("BATCH_SIZE", arguments.batch_size.to_string()),
        ("API_TIMEOUT", "2000".to_owned()),
        ("SYNC_INTERVAL_MINUTES", "1".to_owned()),
        ("CONNECTIVITY_CHECK_INTERVAL_MS", "1000".to_owned()),
        ("HEARTBEAT_INTERVAL_MS", "2000".to_owned()),
    ]
}
