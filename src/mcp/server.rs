//! The protocol's requests, each handed to where it is answered.

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse,
        Implementation, ListPromptsResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};

use ::http::request::Parts;

use super::{
    outcome, prompt, resources,
    toolbox::{Caller, Toolbox},
    tools,
};
use crate::{
    control::{Control, ControlError},
    domain::access::{Grant, Rejection},
};

const INSTRUCTIONS: &str = "meterit-sync uploads the meter readings of this site from a local database to the Client System. Begin with get_sync_status, or with the prompt diagnose_site. Refusals say what happened, what it means and what to do. Readings in quarantine are discarded, or uploaded at the price of a double, only with a person's consent.";

/// What answers one request. Cheap to clone, and holds nothing of a client, so that a restart of the service forgets
/// nobody.
#[derive(Clone)]
pub(super) struct Server {
    control: Control,
    tools: Toolbox,
}

impl Server {
    pub(super) fn new(control: Control) -> Self {
        Self {
            control,
            tools: tools::all(),
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .build();
        let own = Implementation::new("meterit-sync", env!("CARGO_PKG_VERSION"))
            .with_title("meterit-sync");
        ServerConfig::new(capabilities)
            .with_server_info(own)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.shown()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.find(name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.tools.changes_something(&request.name) && !may_change(&context) {
            self.control.note_refused_call(Rejection::LooksOnly);
            return Ok(outcome::refused(&ControlError::LooksOnly).into());
        }
        let token = context.meta.get_progress_token();
        let caller = Caller::new(token.map(|token| (context.peer.clone(), token)));
        let arguments = request.arguments.unwrap_or_default();
        let control = self.control.clone();
        let Some(call) = self.tools.call(&request.name, control, arguments, caller) else {
            return Err(ErrorData::invalid_params(
                format!(
                    "there is no tool {:?}; tools/list names those that there are",
                    request.name
                ),
                None,
            ));
        };
        tokio::select! {
            result = call => Ok(result.into()),
            // Whoever asked is gone: nobody waits any more, and what has begun goes on.
            () = context.ct.cancelled() => {
                Err(ErrorData::internal_error("nobody waits for the answer any more", None))
            }
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::shown()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let content = resources::read(&self.control, &request.uri).await?;
        Ok(content.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(vec![prompt::shown()]))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name != prompt::NAME {
            return Err(ErrorData::invalid_params(
                format!(
                    "there is no prompt {:?}; there is {}",
                    request.name,
                    prompt::NAME
                ),
                None,
            ));
        }
        Ok(prompt::filled_in(&self.control).into())
    }
}

/// Nobody may of whom nothing is known.
fn may_change(context: &RequestContext<RoleServer>) -> bool {
    let parts = context.extensions.get::<Parts>();
    parts.and_then(|parts| parts.extensions.get::<Grant>()) == Some(&Grant::Change)
}
