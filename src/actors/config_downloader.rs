//! Fetches the site's configuration regularly and has it applied. A bad one changes nothing. Of several
//! instances the leader does so; the others follow what it remembered in the Sync Database.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, Recipient, ResponseFuture, SpawnHandle, Supervised};
use tokio::sync::oneshot;

use super::{STANDSTILL_MARGIN, after, after_instead, when_done};
use crate::{
    clock::Clock,
    domain::{
        backoff::Backoff,
        connectivity::{ConnectivityStatus, LinkChange},
        meter::{MeterChanges, SiteConfiguration},
        outcome::CallFailure,
        schedule::SiteSeed,
        status::ConfigStatus,
        store::Fact,
    },
    messages::{
        api_client::DownloadConfig,
        config_downloader::{DownloadFailure, DownloadNow},
        connectivity_monitor::LinkChanged,
        database_writer::{ApplyMeters, DatabaseSnapshot, Remember},
        settings::SettingsChanged,
        sync_manager::ApplyWishes,
    },
    settings::ConfigDownloadSettings,
    storage::SyncStore,
    supervision::{
        ask::{AskError, PATIENCE, ask, ask_within, tell},
        failure_points::FailurePoints,
        progress::Progress,
        published::Published,
        supervisor::SupervisedActor,
    },
};

type Downloaded = Result<(SiteConfiguration, MeterChanges), DownloadFailure>;
type Reply = oneshot::Sender<Result<MeterChanges, DownloadFailure>>;

/// What the downloader is built from.
#[derive(Clone)]
pub struct ConfigDownloaderParts {
    /// Its settings.
    pub settings: Published<ConfigDownloadSettings>,
    /// Spreads sites over the interval.
    pub seed: SiteSeed,
    /// The time.
    pub clock: Clock,
    /// How long a download may take at the most.
    pub patience: Duration,
    /// Who downloads.
    pub api_client: Recipient<DownloadConfig>,
    /// Who takes the meters over.
    pub apply_meters: Recipient<ApplyMeters>,
    /// Who remembers the configuration over restarts.
    pub remember: Recipient<Remember>,
    /// Who follows wishes about the schedule.
    pub wishes: Recipient<ApplyWishes>,
    /// Whether the Client System is reachable.
    pub connectivity: Published<ConnectivityStatus>,
    /// The Sync Database, for following the leader.
    pub store: Arc<dyn SyncStore>,
    /// Whether this instance is the leader.
    pub database: Published<DatabaseSnapshot>,
    /// Where the status is published.
    pub published: Published<ConfigStatus>,
    /// What it has in hand.
    pub progress: Progress,
    /// Planned failures.
    pub failure_points: FailurePoints,
}

/// The configuration downloader.
pub struct ConfigDownloader {
    parts: ConfigDownloaderParts,
    timer: Option<SpawnHandle>,
    waiting: Vec<Reply>,
    downloading: bool,
    /// When the leader's configuration is next looked at; none while this instance leads.
    follow_at: Option<Duration>,
    /// Downloads in a row that came, and that the Sync Database did not take.
    not_taken: u32,
    /// The next try after such a one.
    retry: Option<SpawnHandle>,
}

/// How soon an instance notices that it has become the leader.
const FOLLOWER_LOOKS: Duration = Duration::from_secs(5);
/// How often an instance looks for what the leader has downloaded.
const FOLLOWER_READS: Duration = Duration::from_secs(60);
/// How soon it is noticed that what keeps a configuration from being taken over is gone.
const DATABASE_LOOKS: Duration = Duration::from_secs(5);
/// Between two downloads that the Sync Database does not take although it can be used.
const NOT_TAKEN: Backoff = Backoff {
    base: Duration::from_secs(5),
    cap: Duration::from_secs(600),
};

impl ConfigDownloader {
    /// A downloader that has not downloaded anything yet.
    pub fn new(parts: ConfigDownloaderParts) -> Self {
        Self {
            parts,
            timer: None,
            waiting: Vec::new(),
            downloading: false,
            follow_at: None,
            not_taken: 0,
            retry: None,
        }
    }

    fn leads(&self) -> bool {
        self.parts.database.read(DatabaseSnapshot::leads)
    }

    /// The first thing at a start, and every few seconds while another instance leads.
    fn take_role(&mut self, context: &mut Context<Self>) {
        if self.leads() {
            self.follow_at = None;
            self.schedule(context);
            if !self.offline() {
                self.download(context);
            }
            return;
        }
        let now = self.parts.clock.elapsed();
        if self.follow_at.is_none_or(|due| now >= due) {
            self.follow_at = Some(now + FOLLOWER_READS);
            let (store, wishes) = (self.parts.store.clone(), self.parts.wishes.clone());
            when_done(follow(store, wishes), context, |(), _, _| {});
        }
        after(&self.parts.clock, FOLLOWER_LOOKS, context, Self::take_role);
    }

    /// There is one download ahead at the most.
    fn schedule(&mut self, context: &mut Context<Self>) {
        let delay = self.parts.seed.until_due(
            "config_download",
            self.parts.settings.read(|settings| settings.interval),
            self.parts.clock.now(),
        );
        let act = |downloader: &mut Self, context: &mut Context<Self>| {
            downloader.timer = None;
            downloader
                .parts
                .failure_points
                .pass("config_downloader.timer");
            if !downloader.leads() {
                return downloader.take_role(context);
            }
            if !downloader.offline() {
                downloader.download(context);
            }
            downloader.schedule(context);
        };
        let previous = self.timer.take();
        self.timer = Some(after_instead(
            previous,
            &self.parts.clock,
            delay,
            context,
            act,
        ));
    }

    fn offline(&self) -> bool {
        self.parts
            .connectivity
            .read(ConnectivityStatus::is_known_down)
    }

    fn download(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.downloading, true) {
            return;
        }
        when_done(
            download_and_apply(self.parts.clone()),
            context,
            Self::finish,
        );
    }

    /// A Sync Database that is locked or not there must not cost more than the time for which it is: the schedule may be far.
    fn try_again_if_not_taken(&mut self, result: &Downloaded, context: &mut Context<Self>) {
        match result {
            Err(DownloadFailure::Store(_) | DownloadFailure::Unavailable(_)) => {
                self.not_taken = self.not_taken.saturating_add(1);
            }
            Err(DownloadFailure::Call(CallFailure::Held(_))) => {}
            Ok(_) | Err(DownloadFailure::Call(_)) => self.not_taken = 0,
        }
        if self.not_taken > 0 {
            let delay = NOT_TAKEN.delay_with_extra(self.not_taken, rand::random());
            self.retry_after(delay, context);
        }
    }

    /// There is one retry ahead at the most.
    fn retry_after(&mut self, delay: Duration, context: &mut Context<Self>) {
        let act = |downloader: &mut Self, context: &mut Context<Self>| {
            downloader.retry = None;
            if downloader.not_taken == 0 || !downloader.leads() {
                return;
            }
            if downloader.offline() || !downloader.database_is_usable() {
                return downloader.retry_after(DATABASE_LOOKS, context);
            }
            downloader.download(context);
        };
        let previous = self.retry.take();
        self.retry = Some(after_instead(
            previous,
            &self.parts.clock,
            delay,
            context,
            act,
        ));
    }

    fn database_is_usable(&self) -> bool {
        let database = &self.parts.database;
        database.read(|snapshot| snapshot.failing_since.is_none())
    }

    fn finish(result: Downloaded, downloader: &mut Self, context: &mut Context<Self>) {
        downloader.downloading = false;
        downloader.try_again_if_not_taken(&result, context);
        let now = downloader.parts.clock.now().into();
        downloader.parts.published.update(|status| {
            if let Err(DownloadFailure::Call(CallFailure::Held(until))) = &result {
                tracing::debug!(%until, "no configuration: the client system wants to be left alone");
                return;
            }
            status.last_attempt_at = Some(now);
            match &result {
                Ok((site, _)) => {
                    status.last_success_at = Some(now);
                    status.last_error = None;
                    status.site.clone_from(&site.site_name);
                    status.meters = Some(site.meters.len() as u64);
                }
                Err(failure) => {
                    tracing::warn!(%failure, "no configuration was applied; the last good one stays in force");
                    status.last_error = Some(failure.to_string());
                }
            }
        });
        for reply in downloader.waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = reply.send(result.clone().map(|(_, changes)| changes));
        }
    }
}

async fn follow(store: Arc<dyn SyncStore>, recipient: Recipient<ApplyWishes>) {
    // A database that does not answer is told of elsewhere; the next look comes soon.
    let remembered = store.fact(Fact::Configuration).await.ok().flatten();
    if let Some(wishes) = remembered.and_then(|text| ApplyWishes::from_fact(&text)) {
        tell(&recipient, wishes);
    }
}

async fn download_and_apply(parts: ConfigDownloaderParts) -> Downloaded {
    // The download, and then the database.
    let allowed = parts.patience + PATIENCE + STANDSTILL_MARGIN;
    let _in_hand = parts.progress.begin("a configuration download", allowed);
    parts.failure_points.pass("config_downloader.download");
    let unavailable = |error: AskError| DownloadFailure::Unavailable(error.to_string());
    let site = ask_within(&parts.api_client, DownloadConfig, parts.patience)
        .await
        .map_err(unavailable)??;
    let changes = ask(
        &parts.apply_meters,
        ApplyMeters {
            meters: site.meters.clone(),
        },
    )
    .await
    .map_err(unavailable)??;
    let wishes = ApplyWishes {
        sync_interval_minutes: site.sync_interval_minutes,
        batch_size: site.batch_size,
    };
    ask(
        &parts.remember,
        Remember {
            fact: Fact::Configuration,
            value: Some(wishes.to_fact()),
        },
    )
    .await
    .map_err(unavailable)??;
    // Should this be lost, the next download tells it again.
    tell(&parts.wishes, wishes);
    tracing::info!(
        meters = changes.configured,
        deactivated = changes.deactivated,
        "a configuration was applied"
    );
    Ok((site, changes))
}

impl Actor for ConfigDownloader {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.take_role(context);
    }
}

impl Supervised for ConfigDownloader {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.timer = None;
        self.waiting.clear();
        self.downloading = false;
        self.follow_at = None;
        self.not_taken = 0;
        self.retry = None;
    }
}

impl SupervisedActor for ConfigDownloader {
    const NAME: &'static str = "config_downloader";

    fn progress(&self) -> Progress {
        self.parts.progress.clone()
    }
}

impl Handler<DownloadNow> for ConfigDownloader {
    type Result = ResponseFuture<Result<MeterChanges, DownloadFailure>>;

    fn handle(&mut self, _: DownloadNow, context: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("config_downloader.handler");
        let (reply, answer) = oneshot::channel();
        self.waiting.push(reply);
        self.download(context);
        let restarted = || {
            Err(DownloadFailure::Unavailable(
                "the configuration downloader was restarted meanwhile".to_owned(),
            ))
        };
        Box::pin(async move { answer.await.unwrap_or_else(|_| restarted()) })
    }
}

impl Handler<LinkChanged> for ConfigDownloader {
    type Result = ();

    /// A site that never got a configuration does not wait for the schedule once the link is there.
    fn handle(&mut self, LinkChanged(change): LinkChanged, context: &mut Self::Context) {
        let never_succeeded = self
            .parts
            .published
            .read(|status| status.last_success_at.is_none());
        if change == LinkChange::Connected && never_succeeded && self.leads() {
            self.download(context);
        }
    }
}

impl Handler<SettingsChanged> for ConfigDownloader {
    type Result = ();

    fn handle(&mut self, _: SettingsChanged, context: &mut Self::Context) {
        // Another instance downloads for all while this one does not lead.
        if self.timer.is_some() {
            self.schedule(context);
        }
    }
}
