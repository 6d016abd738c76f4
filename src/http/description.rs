//! What `/openapi.json` says. It takes more memory than all that is served, and hardly anybody asks for it: it is made when
//! somebody does.

use std::sync::OnceLock;

use actix_web::web::Bytes;
use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, Info, OpenApi, Paths, Ref, RefOr, Schema, Tag,
        path::{HttpMethod, Operation, PathItem},
        response::ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    access::needed,
    problem::{MEDIA_TYPE, ProblemDocument},
    routing::{DescribedRefusal, method},
};
use crate::domain::access::Grant;

/// What any call may answer.
const ANYWHERE: [DescribedRefusal; 4] = [
    (
        403,
        "A page from another machine asked, or a token that is for looking only came with what changes something. Nothing was done.",
    ),
    (
        421,
        "The request names another machine as its host. Nothing was done.",
    ),
    (
        500,
        "The service made a mistake. Readings are not affected.",
    ),
    (
        503,
        "A part of the service, the Sync Database or the Client System does not answer or wants to be left alone; `Retry-After` may tell for how long.",
    ),
];
/// What a call that needs a token may answer.
const WITH_TOKENS: [DescribedRefusal; 2] = [
    (
        401,
        "A token is set, and none came along, or a wrong one. Nothing was done.",
    ),
    (
        429,
        "Too many wrong tokens have come from there, and this was one more; a right one is taken at any time. Nothing was done.",
    ),
];
/// How the tokens are called in the description.
const CONTROL: &str = "control_token";
const READ: &str = "read_token";
/// What a call does and answers, not yet in words.
pub(super) struct Description {
    pub(super) path: String,
    pub(super) method: HttpMethod,
    operation: fn() -> Operation,
    schemas: fn(&mut Schemas),
    refusals: Vec<Refusals>,
}

type Schemas = Vec<(String, RefOr<Schema>)>;

/// Answers of one form.
struct Refusals {
    form: fn(&mut Schemas) -> Ref,
    media_type: &'static str,
    listed: Vec<DescribedRefusal>,
}

impl Refusals {
    fn of<T: ToSchema>(
        media_type: &'static str,
        listed: impl IntoIterator<Item = DescribedRefusal>,
    ) -> Self {
        Self {
            form: |schemas| {
                T::schemas(schemas);
                schemas.push((T::name().into(), T::schema()));
                Ref::from_schema_name(T::name())
            },
            media_type,
            listed: listed.into_iter().collect(),
        }
    }
}

impl Description {
    /// What `#[utoipa::path]` has made of a handler.
    pub(super) fn of<D>() -> Self
    where
        D: utoipa::Path + utoipa::__dev::SchemaReferences + utoipa::__dev::Tags<'static>,
    {
        Self {
            path: D::path(),
            method: D::methods().into_iter().next().unwrap_or(HttpMethod::Get),
            operation: || {
                let mut operation = D::operation();
                operation.tags = Some(D::tags().into_iter().map(str::to_owned).collect());
                operation
            },
            schemas: |schemas| D::schemas(schemas),
            refusals: Vec::new(),
        }
    }

    /// Adds what may be answered in this form.
    pub(super) fn refuse<T: ToSchema>(
        &mut self,
        media_type: &'static str,
        refusals: impl IntoIterator<Item = DescribedRefusal>,
    ) {
        self.refusals.push(Refusals::of::<T>(media_type, refusals));
    }

    /// With what is the same for all: who may call, and what whoever may not is answered.
    fn in_words(&self, schemas: &mut Schemas) -> Operation {
        let mut operation = (self.operation)();
        (self.schemas)(schemas);
        let need = needed(&method(&self.method), &self.path);
        let ways = match need {
            None => Vec::new(),
            // Nothing at all is enough where no token is set.
            Some(Grant::Look) => vec![SecurityRequirement::default(), way(CONTROL), way(READ)],
            Some(_) => vec![SecurityRequirement::default(), way(CONTROL)],
        };
        operation.security = Some(ways);
        let with_tokens = need.map(|_| WITH_TOKENS).into_iter().flatten();
        let common = Refusals::of::<ProblemDocument>(MEDIA_TYPE, with_tokens.chain(ANYWHERE));
        for refusals in self.refusals.iter().chain([&common]) {
            let form = (refusals.form)(schemas);
            let answers = &mut operation.responses.responses;
            for (status, words) in &refusals.listed {
                answers.entry(status.to_string()).or_insert_with(|| {
                    let content = Content::new(Some(form.clone()));
                    let response = ResponseBuilder::new().description(*words);
                    RefOr::T(response.content(refusals.media_type, content).build())
                });
            }
        }
        operation
    }
}

/// The description as it is served, once somebody has asked for it.
pub(super) struct Document {
    of: Vec<Description>,
    served: OnceLock<Bytes>,
}

impl Document {
    /// Of these calls.
    pub(super) fn of(of: Vec<Description>) -> Self {
        Self {
            of,
            served: OnceLock::new(),
        }
    }

    /// In JSON.
    pub(super) fn json(&self) -> Bytes {
        let served = self.served.get_or_init(|| self.in_words().into());
        served.clone()
    }

    fn in_words(&self) -> Vec<u8> {
        let mut info = Info::new("meterit-sync", env!("CARGO_PKG_VERSION"));
        info.description = Some(include_str!("description.md").to_owned());
        let (mut paths, mut components) = (Paths::new(), Components::new());
        for described in &self.of {
            let mut schemas = Vec::new();
            let operation = described.in_words(&mut schemas);
            components.schemas.extend(schemas);
            let item = PathItem::new(described.method.clone(), operation);
            match paths.paths.get_mut(&described.path) {
                Some(known) => known.merge_operations(item),
                None => {
                    paths.paths.insert(described.path.clone(), item);
                }
            }
        }
        components.add_security_schemes_from_iter(schemes());
        let mut document = OpenApi::new(info, paths);
        document.components = Some(components);
        document.tags = Some(tags());
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

fn way(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, [""; 0])
}

fn schemes() -> [(&'static str, SecurityScheme); 2] {
    let bearer = |words: &'static str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        SecurityScheme::Http(scheme.description(Some(words)).build())
    };
    [
        (
            CONTROL,
            bearer("CONTROL_TOKEN, where it is set: good for everything."),
        ),
        (
            READ,
            bearer(
                "READ_TOKEN, where it is set: good for looking, and for nothing that changes something.",
            ),
        ),
    ]
}

fn tags() -> Vec<Tag> {
    let described = |name: &str, words: &str| {
        let mut tag = Tag::new(name);
        tag.description = Some(words.to_owned());
        tag
    };
    vec![
        described("status", "How the service fares."),
        described("sync", "Uploading: switching it, triggering it, its log."),
        described(
            "client-system",
            "The link to the Client System and what comes over it.",
        ),
        described("readings", "Storing readings, and looking at local ones."),
        described("quarantine", "Readings that were set aside."),
        described("frontend", "What the Sync Frontend at sites calls."),
        described("assistants", "What assistants call."),
        described("pages", "For people."),
    ]
}
