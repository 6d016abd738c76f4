//! What assistants can do (Model Context Protocol): tools, resources and a prompt. Thin over the control: no rules here,
//! only its answers and its words in the protocol's shapes.

mod arguments;
mod outcome;
mod prompt;
mod resources;
mod results;
mod schema;
mod server;
mod toolbox;
mod tools;
mod transport;

#[cfg(test)]
mod tests;

pub use transport::Endpoint;
