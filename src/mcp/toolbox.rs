//! The table of tools: what a client is told about each, and the typed function behind it.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use rmcp::{
    RoleServer,
    model::{CallToolResult, JsonObject, ProgressNotificationParam, ProgressToken, Tool},
    service::Peer,
};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{arguments, outcome, schema};
use crate::control::{Control, ControlError};

/// What a tool changes, from which its annotations follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing, and it asks nobody outside of the service.
    Reads,
    /// Something in the service, and nothing is lost; once more changes nothing more.
    Switches,
    /// It calls the Client System, and nothing is lost; once more changes nothing more.
    Calls,
    /// What it does may not be undone; once more changes nothing more.
    Destroys,
    /// What it does may not be undone, and the same call may do more the next time.
    DestroysAnew,
}

impl Effect {
    fn annotations(self) -> rmcp::model::ToolAnnotations {
        rmcp::model::ToolAnnotations::new()
            .read_only(self == Self::Reads)
            .destructive(matches!(self, Self::Destroys | Self::DestroysAnew))
            .idempotent(self != Self::DestroysAnew)
            .open_world(self == Self::Calls)
    }
}

/// Who called a tool.
#[derive(Clone)]
pub(super) struct Caller {
    /// Where to tell of progress, if that is wanted.
    progress: Option<(Peer<RoleServer>, ProgressToken)>,
}

impl Caller {
    pub(super) fn new(progress: Option<(Peer<RoleServer>, ProgressToken)>) -> Self {
        Self { progress }
    }

    pub(super) fn wants_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Tells how far it has come. A caller that is gone does not hear it, which ends nothing.
    pub(super) async fn tell(&self, done: u64, of: u64, words: String) {
        let Some((peer, token)) = &self.progress else {
            return;
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers of readings stay far below 2^52"
        )]
        let progress = ProgressNotificationParam::new(token.clone(), done as f64)
            .with_total(of as f64)
            .with_message(words);
        if let Err(error) = peer.notify_progress(progress).await {
            tracing::debug!(%error, "progress could not be told");
        }
    }
}

type Run = dyn Fn(Control, JsonObject, Caller) -> BoxFuture<'static, CallToolResult> + Send + Sync;

/// A tool.
struct Entry {
    shown: Tool,
    run: Box<Run>,
}

/// All tools. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Toolbox(Arc<Vec<Entry>>);

impl Toolbox {
    /// As clients list them.
    pub(super) fn shown(&self) -> Vec<Tool> {
        self.0.iter().map(|entry| entry.shown.clone()).collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<Tool> {
        self.entry(name).map(|entry| entry.shown.clone())
    }

    /// Whether there is such a tool and it does more than to look.
    pub(super) fn changes_something(&self, name: &str) -> bool {
        self.entry(name).is_some_and(|entry| {
            let annotations = entry.shown.annotations.as_ref();
            annotations.and_then(|annotations| annotations.read_only_hint) != Some(true)
        })
    }

    /// Calls a tool; none where there is no such tool.
    pub(super) fn call(
        &self,
        name: &str,
        control: Control,
        arguments: JsonObject,
        caller: Caller,
    ) -> Option<BoxFuture<'static, CallToolResult>> {
        let entry = self.entry(name)?;
        Some((entry.run)(control, arguments, caller))
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.shown.name == name)
    }
}

/// Collects tools.
#[derive(Default)]
pub(super) struct Builder(Vec<Entry>);

impl Builder {
    /// Adds a tool; its schemas follow from the function's types.
    pub(super) fn tool<A, R, F>(
        mut self,
        name: &'static str,
        title: &'static str,
        description: &'static str,
        effect: Effect,
        function: impl Fn(Control, A, Caller) -> F + Copy + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned + ToSchema,
        R: Serialize + ToSchema,
        F: Future<Output = Result<R, ControlError>> + Send + 'static,
    {
        let shown = Tool::new(name, description, schema::of::<A>())
            .with_title(title)
            .with_raw_output_schema(schema::of::<R>())
            .with_annotations(effect.annotations());
        let run: Box<Run> = Box::new(move |control, given, caller| {
            let arguments = match arguments::parse(given) {
                Ok(arguments) => arguments,
                Err(refusal) => return Box::pin(std::future::ready(outcome::refused(&refusal))),
            };
            let answer = function(control, arguments, caller);
            Box::pin(async move { outcome::told(answer.await) })
        });
        self.0.push(Entry { shown, run });
        self
    }

    pub(super) fn finish(self) -> Toolbox {
        Toolbox(Arc::new(self.0))
    }
}
